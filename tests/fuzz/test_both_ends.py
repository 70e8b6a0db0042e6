"""Random operations at both ends of a connection in memory, against a model (world.py).

The same examples each time; `WIRELARK_FUZZ=n` makes n times as many, others in each run: `nox -s fuzz`.
"""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import HealthCheck, settings, stateful
from hypothesis import strategies as st

from ends import BINARY, TEXT
from world import World

TIMES = int(os.environ.get("WIRELARK_FUZZ", "1"))

WHO = st.sampled_from(["client", "server"])
SIZES = st.sampled_from([0, 1, 2, 9, 125, 126, 127, 1000, 4096, 16384, 65535, 65536, 70_001, 200_000])
CODES = st.sampled_from([0, 1000, 1001, 1011, 3000, 4999])
PIECES = st.one_of(
    st.none(),
    st.integers(0, 1000).map(random.Random),
    st.lists(st.integers(1, 300), max_size=20),
    st.integers(1, 60).map(lambda count: [1] * count),
)
KEEPING = st.sampled_from(["frames", "views", "nothing"])
END = st.fixed_dictionaries(
    {
        **dict.fromkeys(("answers_close", "survives", "auto_pong", "batches", "strict", "cork"), st.booleans()),
        "keeps": KEEPING,
    }
)
SENDS = st.one_of(
    st.tuples(
        st.just("message"), st.sampled_from([TEXT, BINARY]), st.lists(SIZES, min_size=1, max_size=4), st.booleans()
    ),
    st.tuples(st.just("in_place"), SIZES),
    st.tuples(st.just("broadcast"), st.integers(1, 3)),
    st.sampled_from([("ping",), ("pong",), ("collect",)]),
)
CALLBACKS = st.sampled_from(["frame", "frame", "frame", "pause_writing", "resume_writing", "disconnected"])
# What ends a connection, sooner or later.
END_OF_IT = st.one_of(st.tuples(st.just("send_close"), CODES), st.tuples(st.just("disconnect"), st.booleans()))
ENDS = st.one_of(
    END_OF_IT,
    # With something before it that may have gathered, and something behind it.
    st.tuples(
        st.sampled_from(["corked", "several"]),
        st.tuples(st.lists(SENDS, max_size=4), END_OF_IT, st.lists(SENDS | END_OF_IT, max_size=2)).map(
            lambda parts: [*parts[0], parts[1], *parts[2]]
        ),
    ),
)
RAISES = st.tuples(st.just("raise"), st.sampled_from([None, 1002, 1008]))
GARBAGE = st.sampled_from([b"\xff\xff\xff", b"\x83\x80abcd", b"\x89\xfe\x00\x7eabcd", b"\xc3\x00"])
RUIN = st.one_of(
    *[st.tuples(st.just("do"), WHO, ENDS)] * 3,
    st.tuples(st.just("close"), WHO, st.sampled_from([None, 1.0, 5.0])),
    st.tuples(st.just("inject"), WHO, GARBAGE),
    st.tuples(st.just("end_stream"), WHO),
    st.tuples(st.just("lose")),
)


class BothEnds(stateful.RuleBasedStateMachine):
    world: World

    @stateful.initialize(client=END, server=END, capacity=st.sampled_from([0, 1000, 65536]), pieces=PIECES)
    def connect(self, client: Any, server: Any, capacity: int, pieces: Any) -> None:
        self.world = World(client, server, capacity, pieces)

    @stateful.rule(who=WHO, action=SENDS)
    def send(self, who: str, action: Any) -> None:
        self.world.do(who, action)

    @stateful.rule(who=WHO, actions=st.lists(SENDS, min_size=2, max_size=8))
    def burst(self, who: str, actions: Any) -> None:
        for action in actions:
            self.world.do(who, action)

    @stateful.rule(who=WHO, actions=st.lists(SENDS, max_size=8))
    def corked(self, who: str, actions: Any) -> None:
        self.world.do(who, ("corked", actions))

    @stateful.rule(who=WHO, callback=CALLBACKS, action=SENDS)
    def plan(self, who: str, callback: str, action: Any) -> None:
        self.world.plan(who, callback, action)

    @stateful.rule(who=WHO)
    def drain(self, who: str) -> None:
        self.world.drain(who)

    @stateful.rule(count=st.integers(1, 10))
    def turn(self, count: int) -> None:
        self.world.turn(count)

    @stateful.rule()
    def deliver(self) -> None:
        self.world.deliver()

    @stateful.rule(seconds=st.sampled_from([0.5, 3.0, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @stateful.rule(to=WHO, after=st.sampled_from([0, 1, 5, 1000]))
    def hold(self, to: str, after: int) -> None:
        self.world.hold(to, after)

    @stateful.rule(to=WHO)
    def release(self, to: str) -> None:
        self.world.release(to)

    @stateful.rule(to=WHO, pieces=PIECES)
    def cut_into(self, to: str, pieces: Any) -> None:
        self.world.cut_into(to, pieces)

    # Seldom enough, or all connections were short.

    @stateful.rule(who=WHO, callback=CALLBACKS, action=RAISES, now=st.integers(0, 1))
    def plan_to_raise(self, who: str, callback: str, action: Any, now: int) -> None:
        if now == 1:
            self.world.plan(who, callback, action, next_time=True)

    @stateful.rule(who=WHO, callback=CALLBACKS, action=ENDS, now=st.integers(0, 2))
    def plan_to_end(self, who: str, callback: str, action: Any, now: int) -> None:
        if now == 2:
            self.world.plan(who, callback, action, next_time=True)

    @stateful.rule(what=RUIN, now=st.integers(0, 2))
    def ruin(self, what: Any, now: int) -> None:
        if now == 2:
            name, *arguments = what
            getattr(self.world, name)(*arguments)

    @stateful.invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()


def test_both_ends() -> None:
    stateful.run_state_machine_as_test(
        BothEnds,
        settings=settings(
            max_examples=60 * TIMES,
            stateful_step_count=50,
            deadline=None,
            database=None,
            derandomize=TIMES == 1,
            suppress_health_check=list(HealthCheck),
        ),
    )
