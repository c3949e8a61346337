"""TOML files: reading, and errors that name the file, the table and the nearest known key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinnet.errors import InputError, did_you_mean
from spinnet.files import file_on_the_way

_ELSEWHERE = {
    "temperature": "; beta = 1/T is the only temperature argument",
    "T": "; beta = 1/T is the only temperature argument",
    "rng": "; the key is seed",
    "N": "; the key is n_spins",
}


@dataclass(frozen=True)
class Table:
    """One table of a TOML file.

    Attributes
    ----------
    file : Path
    name : str
    values : mapping
    """

    file: Path
    name: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The place to name in a message."""
        return f"{self.file}: [{self.name}]"

    def check_keys(self, known: tuple[str, ...], what: str = "") -> None:
        """Refuse a key that is not in `known`, naming the nearest."""
        for key in self.values:
            if key not in known:
                hint = _ELSEWHERE.get(key) or did_you_mean(key, known)
                context = f" for {what}" if what else ""
                raise InputError(
                    f"{self.where} has the unknown key {key!r}{context}{hint} "
                    f"(known: {', '.join(known)})"
                )

    def need(self, key: str) -> Any:
        """Return the value of a key that must be there."""
        if key not in self.values:
            raise InputError(f"{self.where} needs the key {key!r}")
        return self.values[key]

    def text(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.need(key)
        if not isinstance(value, str):
            raise InputError(f"{self.where} {key} must be a text in quotes, got {value!r:.80}")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return a text that must be there and be one of `allowed`."""
        value = self.text(key)
        if value not in allowed:
            raise InputError(
                f"{self.where} {key} must be one of {', '.join(allowed)}, got {value!r}"
                f"{did_you_mean(value, allowed)}"
            )
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value that must be there."""
        value = self.need(key)
        if not isinstance(value, bool):
            raise InputError(f"{self.where} {key} must be true or false, got {value!r:.80}")
        return value

    def seed(self) -> int | None:
        """Return the seed, an integer >= 0, or None where there is none."""
        from spinnet.validation import integer

        if "seed" not in self.values:
            return None
        with self.naming_errors():
            return integer("seed", self.values["seed"], minimum=0)

    def numbers(self, key: str) -> list[float]:
        """Return a number, or a list of numbers, that must be there, as a list."""
        value = self.need(key)
        values = value if isinstance(value, list) else [value]
        for item in values:
            if isinstance(item, bool) or not isinstance(item, (int, float)):
                raise InputError(f"{key} must be a number or a list of numbers, got {item!r:.80}")
        if not values:
            raise InputError(f"{key} must hold at least one number, got an empty list")
        return [float(item) for item in values]

    def path(self, key: str) -> Path:
        """Return a path that must be there; it counts from the folder of the TOML file."""
        return self.file.parent / self.text(key)

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Put the place of this table before the message of an InputError that lacks it."""
        try:
            yield
        except InputError as error:
            if str(error).startswith(self.where):
                raise
            raise InputError(f"{self.where} {error}") from error


def read_tables(path: Path, known: tuple[str, ...]) -> dict[str, Table]:
    """Return the tables of a TOML file, all of which must be in `known`."""
    try:
        with path.open("rb") as stream:
            content = tomllib.load(stream)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        reason = file_on_the_way(path) or f"cannot be read ({error.strerror})"
        raise InputError(f"{path}: {reason}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    for name, values in content.items():
        if not isinstance(values, dict):
            raise InputError(
                f"{path}: the key {name!r} stands outside of a table; put it below one of "
                + ", ".join(f"[{table}]" for table in known)
            )
        if name not in known:
            raise InputError(
                f"{path}: unknown table [{name}]{did_you_mean(name, known)} "
                f"(known: {', '.join(f'[{table}]' for table in known)})"
            )
    return {name: Table(path, name, values) for name, values in content.items()}


def needed_table(tables: Mapping[str, Table], path: Path, name: str) -> Table:
    """Return the table `name`, which must be there."""
    if name not in tables:
        raise InputError(f"{path}: the table [{name}] is missing")
    return tables[name]
