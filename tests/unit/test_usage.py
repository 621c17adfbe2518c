"""CPU seconds count this process and its workers, living or ended."""

import time

from pdeinv.executors import process_pool
from pdeinv.executors.usage import cpu_seconds


def busy(seconds):
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass
    return time.process_time()


def test_own_work_counts_and_sleep_does_not():
    before = cpu_seconds()
    time.sleep(0.3)
    slept = cpu_seconds() - before
    busy(0.3)
    assert slept < 0.2
    assert 0.3 <= cpu_seconds() - before - slept < 0.6


def test_work_of_a_worker_counts_while_it_lives_and_after():
    before = cpu_seconds()
    with process_pool(1) as pool:
        pool.submit(busy, 0.5).result()
        living = cpu_seconds() - before
    assert living >= 0.45
    assert cpu_seconds() - before >= 0.45
