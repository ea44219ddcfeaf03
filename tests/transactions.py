"""What one process commits, as SQLite itself runs it."""

from bridge.store import Store, statements

Transaction = list[str]  # the names of its statements, in order


async def watched(store: Store) -> list[Transaction]:
    """From now on, the transactions this store has committed."""
    names = {text.partition("\n")[0]: name for name, text in statements().items()}
    committed: list[Transaction] = []
    current: Transaction = []
    last = [""]

    def see(sql: str) -> None:
        if sql == last[0]:
            return  # the same statement, seen again from inside a trigger
        last[0] = sql
        if sql.startswith("BEGIN"):
            current.clear()
        elif sql == "COMMIT":
            committed.append(list(current))
        elif name := names.get(sql.partition("\n")[0]):
            current.append(name)

    writer = store._writer
    assert writer is not None
    await writer.set_trace_callback(see)
    return committed
