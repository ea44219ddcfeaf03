"""No order of claims, deaths, late workers, cancels and clocks breaks the queue."""

from hypothesis import HealthCheck, settings
from queue_machine import QueueMachine

TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(
    max_examples=100,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
