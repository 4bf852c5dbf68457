import multiprocessing
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from nasturtium.errors import AlreadyTold
from nasturtium.evaluators.base import Result
from nasturtium.study import Store
from nasturtium.study.codec import dumps, settle

ROUNDS = 300
TELLERS = 4
PROPOSAL = dumps({"arch": "words:abcde", "fidelity": {"epochs": 3}, "origin": "test"})


def prepare(path: Path, rounds: int) -> Store:
    store = Store.create(path, "search", config={})
    for number in range(rounds):
        assert store.add(number, number, PROPOSAL, owner="me", lease=0.0)
    return store


def tell_all(store: Store, me: int, rounds: int, barrier: Any) -> list[tuple[int, float | None]]:
    """What became of this teller's value in each round: None for won, else the stored score."""
    outcomes: list[tuple[int, float | None]] = []
    for number in range(rounds):
        barrier.wait()
        try:
            store.tell(number, settle(Result("ok", me + 0.5)))
            outcomes.append((me, None))
        except AlreadyTold as error:
            assert isinstance(error.stored, Result)
            outcomes.append((me, error.stored.score))
    return outcomes


def check(store: Store, outcomes: list[list[tuple[int, float | None]]]) -> None:
    for record, told in zip(store.trials(), zip(*outcomes, strict=True), strict=True):
        winners = [me + 0.5 for me, stored in told if stored is None]
        assert winners == [record.score]
        assert [stored for _, stored in told if stored is not None] == winners * (len(told) - 1)
    assert store.check() == []


def test_of_concurrent_threads_one_tells(tmp_path: Path) -> None:
    store = prepare(tmp_path / "study.db", ROUNDS)
    barrier = threading.Barrier(TELLERS)
    outcomes: list[list[tuple[int, float | None]]] = [[] for _ in range(TELLERS)]

    def teller(me: int) -> None:
        outcomes[me] = tell_all(store, me, ROUNDS, barrier)

    threads = [threading.Thread(target=teller, args=(me,)) for me in range(TELLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(store, outcomes)


def teller_process(path: Path, me: int, barrier: Barrier, queue: Any) -> None:
    with Store.open(path, "search") as store:
        queue.put((me, tell_all(store, me, ROUNDS, barrier)))


def test_of_concurrent_processes_one_tells(tmp_path: Path) -> None:
    store = prepare(tmp_path / "study.db", ROUNDS)
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(TELLERS), context.SimpleQueue()
    processes = [
        context.Process(target=teller_process, args=(store.path, me, barrier, queue))
        for me in range(TELLERS)
    ]
    for process in processes:
        process.start()
    got = dict(queue.get() for _ in processes)
    for process in processes:
        process.join()
    check(store, [got[me] for me in range(TELLERS)])


def crowd(path: Path, me: int, count: int, barrier: Barrier) -> None:
    with Store.open(path, "search") as store:
        barrier.wait()
        number = 0
        while number < count:
            if store.add(number, me, PROPOSAL, owner=f"p{me}", lease=time.time() + 60):
                store.tell(number, settle(Result("ok", float(me))))
            number += 1


def test_of_concurrent_processes_each_number_has_one_owner(tmp_path: Path) -> None:
    Store.create(tmp_path / "study.db", "search", config={}).close()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(TELLERS)
    processes = [
        context.Process(target=crowd, args=(tmp_path / "study.db", me, 200, barrier))
        for me in range(TELLERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * TELLERS
    records = Store.open(tmp_path / "study.db", "search").trials()
    assert [record.number for record in records] == list(range(200))
    assert all(record.score == record.seed for record in records)


def test_of_concurrent_creators_one_makes_the_file(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    errors: list[BaseException] = []

    def create(me: int) -> None:
        barrier.wait()
        try:
            Store.create(tmp_path / "study.db", f"s{me}", config={"me": me}).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(Store.studies(tmp_path / "study.db")) == [f"s{me}" for me in range(8)]
    assert Store.open(tmp_path / "study.db", "s3").config == {"me": 3}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
