"""Byte pairs: text to ids by the most frequent merges of a text (Sennrich et al., arXiv 1508.07909)."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

WORD = re.compile(rb" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\n *|\s+")


def learn_merges(words: Counter[bytes], count: int) -> list[tuple[bytes, bytes]]:
    """Return the ``count`` most frequent merges, each found after the ones before it are made."""
    parts = {word: [bytes([byte]) for byte in word] for word in words}
    frequency: Counter[tuple[bytes, bytes]] = Counter()
    holders = defaultdict(set)
    for word, split in parts.items():
        for pair in pairwise(split):
            frequency[pair] += words[word]
            holders[pair].add(word)
    merges = []
    while len(merges) < count:
        best = max(frequency, key=lambda pair: (frequency[pair], pair))
        merges.append(best)
        for word in holders.pop(best):
            for pair in pairwise(parts[word]):
                frequency[pair] -= words[word]
            parts[word] = merged(parts[word], best)
            for pair in pairwise(parts[word]):
                frequency[pair] += words[word]
                holders[pair].add(word)
        del frequency[best]
    return merges


def merged(split: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Return a split word with each occurrence of a pair made one part."""
    result: list[bytes] = []
    for part in split:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


class Tokeniser:
    """Text to byte-pair ids: the 256 bytes first, then the merges in order."""

    def __init__(self, merges: list[tuple[bytes, bytes]]) -> None:
        parts = [bytes([byte]) for byte in range(256)] + [first + second for first, second in merges]
        self.id_of = {part: i for i, part in reversed(list(enumerate(parts)))}
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.encode_word = functools.cache(self._encode_word)

    def _encode_word(self, word: bytes) -> list[int]:
        split = [bytes([byte]) for byte in word]
        while len(split) > 1:
            pair = min(pairwise(split), key=lambda pair: self.rank.get(pair, len(self.rank)))
            if pair not in self.rank:
                break
            split = merged(split, pair)
        return [self.id_of[part] for part in split]

    def encode(self, text: str) -> np.ndarray:
        words = WORD.findall(text.encode())
        return np.array([i for word in words for i in self.encode_word(word)], dtype=np.int64)
