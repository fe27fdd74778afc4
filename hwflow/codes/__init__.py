"""From weights to stored words: the storage order, and the codes by which weights become the bits of a memory."""

from hwflow.codes.plain import Plain
from hwflow.codes.protection import Protection, Protections
from hwflow.codes.registry import PLAIN, STORAGE_CODES, CodeSpec, Family, StorageCode, storage_code
from hwflow.codes.repeated import Repeated
from hwflow.codes.secded import Secded
from hwflow.codes.table import Table
from hwflow.codes.word import WordCode
from hwflow.codes.words import Words

__all__ = [
    "PLAIN",
    "STORAGE_CODES",
    "CodeSpec",
    "Family",
    "Plain",
    "Protection",
    "Protections",
    "Repeated",
    "Secded",
    "StorageCode",
    "Table",
    "WordCode",
    "Words",
    "storage_code",
]
