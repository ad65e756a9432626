"""Bars of progress, with a rate and what is being done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def counted(what: str, total: int, unit: str = "image") -> Iterator[Callable[[int], object]]:
    """A progress bar with a rate, which says what is being done: called with how many more are done."""
    with tqdm(total=total, desc=what, unit=unit, mininterval=1.0, dynamic_ncols=True) as bar:
        yield bar.update


def epochs(name: str) -> Callable[[int, int, float, float], None]:
    """A bar over epochs that shows loss and validation accuracy; it starts with the first epoch."""
    bar: list[tqdm] = []

    def show(epoch: int, of: int, loss: float, accuracy: float) -> None:
        if not bar:
            bar.append(tqdm(total=of, initial=epoch - 1, desc=f"train {name}", unit="epoch"))
        bar[0].set_postfix(loss=f"{loss:.3f}", validation=f"{accuracy:.3f}")
        bar[0].update(1)
        if epoch == of:
            bar[0].close()

    return show


@contextmanager
def units(what: str, unit: str = "unit") -> Iterator[Callable[[str, int, int], None]]:
    """A bar whose total is told on the way: called with (what is being done, done, total)."""
    with tqdm(desc=what, unit=unit, mininterval=1.0, dynamic_ncols=True) as bar:

        def show(now: str, done: int, total: int) -> None:
            bar.set_postfix_str(now, refresh=False)
            bar.total = max(total, done)
            bar.update(done - bar.n)

        yield show
