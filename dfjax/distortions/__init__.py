"""Pictures and films made worse, as benchmarks and the world do: pure functions of their pixels."""
