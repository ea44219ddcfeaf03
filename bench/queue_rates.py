"""How fast jobs are added and worked off, peer beside peer, and adding while workers drain.

The peers take turns inside a round, after a control of that round, so that all see the same
machine; a ratio is taken within its round, and what is reported is the median of the rounds.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.figures import row
from bench.queue_process import folder, run, together
from bench.slow_disk import slower_syncs

CHATS = "KITT, jobs of chats"
DRAINED: dict[str, dict[str, Any]] = {
    "KITT": {"peer": "kitt"},
    CHATS: {"peer": "kitt", "chats": True},
}
OTHERS = ("Huey", "Huey's storage", "persist-queue", "litequeue")
SLOWER_MS = (0.5, 5.0)  # as on the machine the goals were set on; as on the card of a small board
PACE_S = 0.015  # of the bridge that adds while workers drain


@dataclass
class Rounds:
    """What each peer reached in each round; `control` is one of them."""

    reached: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, figure: float) -> None:
        self.reached.setdefault(name, []).append(figure)

    def medians(self, digits: int = 0) -> dict[str, float]:
        """The median of each peer, the fastest first."""
        found = {
            name: round(statistics.median(of), digits or None) for name, of in self.reached.items()
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def beside(self) -> dict[str, Any]:
        """The medians, and how steady the control was: where it was not, its ratios say little."""
        control = self.reached["control"]
        return {**self.medians(), "control's rounds": [round(min(control)), round(max(control))]}

    def ratio(self, name: str, other: str) -> float:
        """The median over the rounds of one peer over another."""
        pairs = zip(self.reached[name], self.reached[other], strict=True)
        return round(statistics.median(mine / theirs for mine, theirs in pairs), 2)

    def ratios(self, name: str, others: Iterable[str]) -> dict[str, float]:
        return {f"x {other}": self.ratio(name, other) for other in others}


def kitt(name: str) -> dict[str, Any]:
    """The plan of a peer by its name in a table."""
    return DRAINED.get(name, {"peer": name})


def add_one(name: str, count: int, **plan: Any) -> float:
    """Jobs per second of one process that adds to an empty queue."""
    with folder() as empty:
        return float(run(**kitt(name), role="add", folder=empty, count=count, **plan))


def adding(rounds: int, count: int) -> list[dict[str, Any]]:
    """One process adds: durably, not durably, and a hundred per commit."""
    full, normal, many = Rounds(), Rounds(), Rounds()
    for _ in range(rounds):
        for name in ("control", *DRAINED, *OTHERS):
            full.note(name, add_one(name, count))
        for name in ("control", "KITT", "Huey"):
            normal.note(name, add_one(name, 3 * count, sync="NORMAL"))
        many.note("control", add_one("control", count))
        for name in ("KITT", "control"):
            with folder() as empty:
                plan = {**kitt(name), "folder": empty, "count": 100 * (count // 20)}
                rate = run(**plan, role="add_many")
            many.note(name if name == "KITT" else "control, a hundred per commit", rate)
    peers = full.ratios("KITT", OTHERS)
    x_control = full.ratio("KITT", "control")
    few, hundred = normal.ratios("KITT", ("control", "Huey")), many.ratio("KITT", "control")
    return [
        row(
            "durable add, one process, jobs/s",
            {"KITT": full.medians()["KITT"], "x control": x_control, **peers},
            "≥ 0.8 × control and 0.8 × the best peer",
            met=x_control >= 0.8 and min(peers.values()) >= 0.8,
            control=full.beside(),
        ),
        row(
            "the same, not waiting for the disk",
            {"KITT": normal.medians()["KITT"], **few},
            "≥ 0.25 × control, ≥ 0.6 × Huey",
            met=few["x control"] >= 0.25 and few["x Huey"] >= 0.6,
            control=normal.beside(),
        ),
        row(
            "durable add, a hundred per commit, jobs/s",
            {"KITT": many.medians()["KITT"], "x control": hundred},
            "≥ 20 × control",
            met=hundred >= 20,
            control=many.beside(),
        ),
    ]


def drain_one(name: str, count: int, **plan: Any) -> dict[str, Any]:
    """Two processes work a queue off: the rate, how often a job ran twice, how many never did."""
    with folder() as empty:
        plan = {**kitt(name), "folder": empty, "count": count, **plan}
        run(**plan, role="fill")
        workers = [{**plan, "role": "drain", "slot": f"worker-{n}"} for n in (1, 2)]
        with together(*workers) as children:
            found = [child.result() for child in children]
    ran = [number for one in found for number in one["numbers"]]
    took = max(one["ended"] for one in found) - min(one["started"] for one in found)
    return {
        "rate": len(set(ran)) / took,
        "twice": len(ran) - len(set(ran)),
        "never": count - len(set(ran)),
    }


def draining(rounds: int, count: int, many: int) -> list[dict[str, Any]]:
    """Two worker processes, durable; and whether a job ever runs twice."""
    rates, twice, never = Rounds(), Rounds(), 0
    for _ in range(rounds):
        rates.note("control", add_one("control", count))
        for name in (*DRAINED, *OTHERS):
            found = drain_one(name, count)
            rates.note(name, found["rate"])
            twice.note(name, found["twice"])
            if name in DRAINED:
                never += found["never"]
    doubles = {name: int(sum(of)) for name, of in twice.reached.items()}
    large = drain_one("KITT", many, sync="NORMAL")
    return [
        *(_drain_row(name, rates, "this disk") for name in DRAINED),
        *on_slower_disks(rounds, count // 3),
        row(
            "jobs that ran twice, two workers",
            {
                f"of {many:,}": large["twice"],
                "never ran": large["never"] + never,
                "jobs/s, not waiting for the disk": round(large["rate"]),
                f"of {rounds * count:,} each, durable": doubles,
            },
            "0",
            met=not (large["twice"] + large["never"] + never + sum(doubles[n] for n in DRAINED)),
        ),
    ]


def on_slower_disks(rounds: int, count: int) -> list[dict[str, Any]]:
    """The same where a sync takes longer: the faster the disk, the more the processor decides."""
    rows = []
    for more_ms in SLOWER_MS:
        rates, disk = Rounds(), f"each sync {more_ms} ms longer"
        with slower_syncs(more_ms) as possible:
            if not possible:
                rows.append(row(f"drain, {disk}", "not measured: no C compiler", "", met=False))
                continue
            for _ in range(rounds):
                rates.note("control", add_one("control", count))
                rates.note("KITT adds", add_one("KITT", count))
                for name in (*DRAINED, "Huey", "Huey's storage"):
                    rates.note(name, drain_one(name, count)["rate"])
        rows += [_drain_row(name, rates, disk) for name in DRAINED]
        x_control = rates.ratio("KITT adds", "control")
        rows.append(
            row(
                f"durable add, one process, {disk}, jobs/s",
                {"KITT": rates.medians()["KITT adds"], "x control": x_control},
                "≥ 0.8 × control",
                met=x_control >= 0.8,
                control=rates.beside(),
            )
        )
    return rows


def _drain_row(name: str, rates: Rounds, disk: str) -> dict[str, Any]:
    others = [other for other in OTHERS if other in rates.reached]
    found = rates.ratios(name, ("control", *others))
    what = "nobody is told" if name == "KITT" else "cards, results and notes for 50 chats"
    return row(
        f"drain, two workers, durable, {disk}, jobs/s ({what})",
        {name: rates.medians()[name], **found},
        "≥ 1.4 × Huey, ≥ 0.8 × control",
        met=found["x Huey"] >= 1.4 and found["x control"] >= 0.8,
        control=rates.beside(),
    )


def stream_one(name: str, seconds: float, backlog: int) -> tuple[list[float], bool]:
    """One process adds while two drain: how long each add took, and was there work all along."""
    with folder() as empty:
        plan = {**kitt(name), "folder": empty, "count": backlog}
        run(**plan, role="fill")
        busy = [{**plan, "role": "work", "slot": f"worker-{n}"} for n in (1, 2)]
        adder = {**plan, "role": "stream", "seconds": seconds, "pace_s": PACE_S}
        with together(*busy, adder) as children:
            took = children[2].result()
            for child in children[:2]:
                child.tell()
            left = [child.result()["left"] for child in children[:2]]
    return took, all(left)


def adding_under_load(rounds: int, seconds: float, backlog: int) -> list[dict[str, Any]]:
    """The bridge's view: a person's job is stored while two workers drain a backlog."""
    p50, worst, count, busy = Rounds(), Rounds(), Rounds(), True
    for _ in range(rounds):
        for name in (CHATS, "Huey"):
            took, left = stream_one(name, seconds, backlog)
            busy = busy and left
            p50.note(name, 1000 * statistics.median(took))
            worst.note(name, 1000 * max(took))
            count.note(name, len(took))
    value = {
        "p50_ms": p50.medians(2)[CHATS],
        "max_ms": worst.medians(1)[CHATS],
        "worst round_ms": round(max(worst.reached[CHATS]), 1),
        "backlog lasted": busy,
    }
    theirs = {"p50_ms": p50.medians(1)["Huey"], "max_ms": worst.medians(0)["Huey"]}
    ratios = {"p50 x Huey": p50.ratio(CHATS, "Huey"), "max x Huey": worst.ratio(CHATS, "Huey")}
    done = {f"adds of {name}": of for name, of in count.medians().items()}
    return [
        row(
            "durable add while two workers drain, a chat's job",
            value,
            "p50 ≤ 5 ms, max ≤ 150 ms",
            met=value["p50_ms"] <= 5 and value["worst round_ms"] <= 150 and busy,
            control={"Huey": theirs, **done},
        ),
        row(
            "– beside Huey",
            ratios,
            "≤ 0.1 × Huey",
            met=max(ratios.values()) <= 0.1 and busy,
            control={"Huey": theirs},
        ),
    ]
