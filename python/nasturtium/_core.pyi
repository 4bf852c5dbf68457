import numpy as np
from numpy.typing import NDArray

__version__: str

class Program:
    def __init__(self, text: str) -> None: ...
    @property
    def decisions(self) -> int: ...
    @property
    def one_hot_width(self) -> int: ...
    def sample(
        self, out: NDArray[np.uint8], seed: int, stream: int, start: int, threads: int
    ) -> None: ...
    def mutate(
        self,
        codes: NDArray[np.uint8],
        out: NDArray[np.uint8],
        seed: int,
        stream: int,
        start: int,
        threads: int,
    ) -> None: ...
    def crossover(
        self,
        a: NDArray[np.uint8],
        b: NDArray[np.uint8],
        out: NDArray[np.uint8],
        seed: int,
        stream: int,
        start: int,
        threads: int,
    ) -> None: ...
    def neighbors(self, code: NDArray[np.uint8]) -> NDArray[np.uint8]: ...
    def enumerate(self, total: int) -> NDArray[np.uint8]: ...
    def valid(self, codes: NDArray[np.uint8], out: NDArray[np.bool_], threads: int) -> None: ...
    def check(self, code: NDArray[np.uint8]) -> None: ...
    def active(self, codes: NDArray[np.uint8], out: NDArray[np.bool_], threads: int) -> None: ...
    def live(
        self,
        codes: NDArray[np.uint8],
        nodes: NDArray[np.bool_],
        edges: NDArray[np.bool_],
        threads: int,
    ) -> None: ...
    def keys(
        self, codes: NDArray[np.uint8], rule: str, out: NDArray[np.uint64], threads: int
    ) -> None: ...
    def one_hot(self, codes: NDArray[np.uint8], out: NDArray[np.float32], threads: int) -> None: ...
    def categorical(
        self, codes: NDArray[np.uint8], out: NDArray[np.int16], threads: int
    ) -> None: ...

def philox(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> tuple[int, int, int, int]: ...
def random_words(out: NDArray[np.uint64], seed: int, stream: int, counter: int) -> None: ...
def canonical_graph(
    labels: NDArray[np.uint64], edges: NDArray[np.uint64], budget: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], int]: ...
