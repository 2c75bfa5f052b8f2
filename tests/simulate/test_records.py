"""Compiled code reads arrays by their addresses alone: what does not fit is refused before."""

import re

import numpy as np
import pytest

from noptoolkit.simulate.columns import LAYOUTS, Network, Sources, State
from noptoolkit.simulate.compiled_records import words_of


@pytest.mark.parametrize("record", [Network, State, Sources])
def test_an_array_of_another_type_or_shape_is_refused(record) -> None:
    layout = LAYOUTS[record.__name__]
    values = {
        name: np.zeros((3,) * (field.dims - 1) + (field.width or 2,), field.dtype) if field.dims else 7
        for name, field in layout.items()
    }
    words = words_of(record(**values))
    assert len(words) == sum(1 + field.dims for field in layout.values())
    place = 0
    for name, field in layout.items():
        if not field.dims:
            assert words[place : place + 1].view(field.dtype)[0] == 7
        else:
            array = values[name]
            assert words[place] == array.ctypes.data
            assert tuple(words[place + 1 : place + 1 + field.dims]) == array.shape
            wrong = [array.astype(np.float32), array[None]]
            wrong += [array[..., ::-1][..., ::2]] if field.dims > 1 else []
            wrong += [np.concatenate([array, array], axis=-1)] if field.width else []
            for other in wrong:
                with pytest.raises(AssertionError, match=rf"^{re.escape(name)} is "):
                    words_of(record(**values | {name: other}))
        place += 1 + field.dims
