PRAGMA application_id = 1313820755;
PRAGMA user_version = 1;
CREATE TABLE metrics (
        name TEXT PRIMARY KEY, title TEXT, unit TEXT, better TEXT, meaning TEXT);
INSERT INTO metrics VALUES ('links', 'links', '', 'lower', 'physical links');
CREATE TABLE evaluations (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, error TEXT, record TEXT NOT NULL,
        package_digest TEXT, workload_digest TEXT, seed TEXT, version TEXT NOT NULL,
        layout_key TEXT, layout TEXT, cpu REAL);
INSERT INTO evaluations VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'done', '', '{"package": "mesh-2x2", "workload": "stdlib-moe", "origin": "recorded", "allocator": "auto", "objective": "time", "degree": "in-network", "routing": "optimal", "policy": "streaming", "tol": 0.01, "seed": 0, "normalised_by": "", "normalised_factor": null, "layout": null, "version": "0.2.0", "package_digest": "8b11e6056e95642ed2993566236c9de7ee1176b8e267660d9d6562cb98141cbf", "workload_digest": "2e19750f514eb7a7d89f89fb4593e5c0067a7f1c7e9a59e42392f98dd1f1fbcb", "allocation_digest": null}', '8b11e6056e95642ed2993566236c9de7ee1176b8e267660d9d6562cb98141cbf', '2e19750f514eb7a7d89f89fb4593e5c0067a7f1c7e9a59e42392f98dd1f1fbcb', '0', '0.2.0', '', '', 5.6836081000000149288e-02);
CREATE TABLE results (
        key TEXT NOT NULL, name TEXT NOT NULL, number REAL, text TEXT, missing TEXT,
        UNIQUE (key, name));
INSERT INTO results VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'links', 4.0, '4', NULL);
CREATE TABLE points (
        study TEXT NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, point TEXT NOT NULL,
        UNIQUE (study, key));
INSERT INTO points VALUES ('study', 0, 'e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', '{"builder": "mesh", "params.rows": 2, "params.flops": "1 TFLOP/s", "workload": "stdlib-moe"}');
CREATE TABLE settings (
        key TEXT NOT NULL, name TEXT NOT NULL, number REAL, text TEXT, UNIQUE (key, name));
INSERT INTO settings VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'builder', NULL, 'mesh');
INSERT INTO settings VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'params.rows', 2.0, '2');
INSERT INTO settings VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'params.flops', 1000000000000.0, '1 TFLOP/s');
INSERT INTO settings VALUES ('e389a1bb04a471acc0d2a08a38919a0a97fb34690f66c35de880f3edd8e86559', 'workload', NULL, 'stdlib-moe');
CREATE TABLE layouts (key TEXT PRIMARY KEY, body BLOB NOT NULL);
