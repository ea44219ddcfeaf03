"""The default script: what it answers a user, and how it carries a job."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from bridge.emulator.claude import KEY, ClaudeEmulator
from bridge.emulator.script import Reply, Request, Script, Text, ToolUse
from bridge.emulator.story import story
from bridge.emulator.story_words import items, title_of, total

Json = dict[str, Any]

STRING = {"type": "string"}
NUMBER = {"type": "integer"}


def tool(name: str, **fields: Any) -> Json:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": list(fields),
        "properties": fields,
    }
    return {"name": name, "strict": True, "input_schema": schema}


MAIN = [
    tool(
        "start_background_job",
        acknowledgement=STRING,
        title=STRING,
        instructions=STRING,
        kind={"type": "string", "enum": ["research", "browser", "code", "files", "other"]},
        priority={"type": "string", "enum": ["normal", "urgent"]},
    ),
    tool("list_jobs", status={"type": "string", "enum": ["active", "finished", "all"]}),
    tool("get_job", job_id=NUMBER),
    tool("cancel_job", job_id=NUMBER),
    tool("retry_job", job_id=NUMBER),
]
WORKER = [
    tool("report_progress", step=STRING, percent=NUMBER),
    tool("write_file", path=STRING, content=STRING),
    tool("read_file", path=STRING),
    tool("list_files"),
    tool("attach_file", path=STRING, caption=STRING),
    {"type": "web_search_20260318", "name": "web_search"},
]
EVENT = (
    '<kitt-event job="12" status="done">Three bikes:\n\n1. **Gazelle** – €1,899\n'
    "2. **Cortina** – €1,749\n3. **Batavus** – €1,999</kitt-event>"
)


def request(text: str, *before: Json, tools: list[Json] | None = None) -> Request:
    messages = [*before, {"role": "user", "content": text}]
    chosen = MAIN if tools is None else tools
    return Request({"model": "m", "tools": chosen, "messages": messages})


def said(text: str, *before: Json) -> str:
    blocks = story().reply(request(text, *before)).blocks
    assert isinstance(blocks, str), f"expected words, got {blocks}"
    return blocks


def called(text: str, *before: Json) -> ToolUse:
    blocks = story().reply(request(text, *before)).blocks
    assert len(blocks) == 1
    call = blocks[0]
    assert isinstance(call, ToolUse), f"expected a call, got {blocks}"
    return call


def answered(question: str, call: ToolUse, result: str, *, is_error: bool = False) -> str:
    use = {"type": "tool_use", "id": "t1", "name": call.name, "input": call.input}
    back = {"type": "tool_result", "tool_use_id": "t1", "content": result, "is_error": is_error}
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [back]},
    ]
    blocks = story().reply(Request({"model": "m", "tools": MAIN, "messages": messages})).blocks
    assert isinstance(blocks, str)
    return blocks


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hello", "Hello!"),
        ("Hallo!", "Hallo!"),
        ("thanks a lot", "You're welcome"),
        ("dank je wel", "Graag gedaan"),
        ("tell me a joke", "quarrel"),
        ("vertel eens een mop", "wachtrij"),
        ("what can you do?", "in the background"),
        ("hoe gaat het met je?", "Prima"),
        ("what is 17*23", "That is 391."),
        ("Hoeveel is 17 keer 23?", "Dat is 391."),
        ("hoeveel is 10 gedeeld door 4", "Dat is 2,5."),
        ("what is 1/0", "divided by zero"),
        ("do you like cheese?", "no rule for that"),
    ],
)
def test_small_talk_is_answered_at_once(text: str, answer: str) -> None:
    assert answer in said(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("who are you?", "scripted model"), ("wie ben jij?", "model met een script")],
)
def test_it_admits_to_be_a_script(text: str, words: str) -> None:
    assert words in said(text)


@pytest.mark.parametrize(
    "text",
    ["what is __import__('os')", "what is 9**9**9**9", "what is (-8)**0.5", "what is 2 +", "17"],
)
def test_what_is_no_sum_is_not_evaluated(text: str) -> None:
    assert total(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Compare e-bikes under €2,000",
        "please count to ten in the background",
        "Zoek de beste e-bike onder € 2.000",
        "tel tot tien op de achtergrond",
        "write a report about bees",
        "analyseer de verkoop van mei",
        "quick job 4",
    ],
)
def test_long_work_becomes_a_job(text: str) -> None:
    assert called(text).name == "start_background_job"


def test_a_directive_makes_a_job_of_anything() -> None:
    directive = "<kitt-directive>The user asked for a background job.</kitt-directive>"

    assert called(f"hello {directive}").name == "start_background_job"


def test_a_directive_of_an_earlier_turn_counts_no_more() -> None:
    before = {"role": "user", "content": "x <kitt-directive>Start a job.</kitt-directive>"}
    reply = {"role": "assistant", "content": "done"}

    assert said("hello", before, reply).startswith("Hello!")


def test_a_handover_is_complete_and_in_the_users_language() -> None:
    call = called("Zoek in de achtergrond dringend uit welke website de beste fietsen heeft")

    assert call.input["acknowledgement"].startswith("Ik ga ermee aan de slag")
    assert "welke website de beste fietsen heeft" in call.input["instructions"]
    assert "Answer in Dutch" in call.input["instructions"]
    assert (call.input["kind"], call.input["priority"]) == ("browser", "urgent")


def test_a_title_has_at_most_60_characters() -> None:
    title = title_of("please find out in the background " + "something " * 20, "Job")

    assert len(title) <= 60
    assert title.startswith("Find out something")
    assert title.endswith("…")


@pytest.mark.parametrize("text", ["what is running?", "status", "Hoe ver ben je?", "wat loopt er?"])
def test_a_question_about_jobs_asks_the_list(text: str) -> None:
    assert called(text) == ToolUse("list_jobs", {"status": "active"})


def test_the_list_becomes_a_readable_answer() -> None:
    jobs = "#12 running 40% “E-bikes” – Leest de vraag\n#13 pending “Bijen”"

    answer = answered("hoe ver ben je?", ToolUse("list_jobs", {"status": "active"}), jobs)

    assert answer == (
        "Zo staat het ervoor:\n- #12 E-bikes: bezig, 40 %, Leest de vraag\n- #13 Bijen: wacht"
    )


def test_a_list_of_another_form_is_passed_on() -> None:
    call = ToolUse("list_jobs", {"status": "active"})

    assert "E-bikes (40 of 100)" in answered("status", call, "E-bikes (40 of 100)")


@pytest.mark.parametrize("empty", ["No jobs.", ""])
def test_an_empty_list_means_nothing_runs(empty: str) -> None:
    call = ToolUse("list_jobs", {"status": "active"})

    assert answered("what is running?", call, empty) == "Nothing is running at the moment."


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("cancel job 3", ToolUse("cancel_job", {"job_id": 3})),
        ("annuleer 3", ToolUse("cancel_job", {"job_id": 3})),
        ("retry job #7", ToolUse("retry_job", {"job_id": 7})),
        ("probeer taak 7 opnieuw", ToolUse("retry_job", {"job_id": 7})),
        ("show job 5", ToolUse("get_job", {"job_id": 5})),
    ],
)
def test_an_order_about_a_job_calls_its_tool(text: str, call: ToolUse) -> None:
    assert called(text) == call


def test_cancel_it_means_the_only_live_job() -> None:
    call = called('<kitt-state>jobs: #12 running 40% "x", #9 done "y"</kitt-state> cancel it')

    assert call == ToolUse("cancel_job", {"job_id": 12})


def test_cancel_it_asks_back_when_there_are_two() -> None:
    assert "Which job" in said("<kitt-state>#1 running, #2 pending</kitt-state> cancel it")


def test_the_details_of_a_job_are_its_result() -> None:
    text = "#5 done “Bees”\nRequest: bees\nResult:\nBees fly."

    answer = answered("show job 5", ToolUse("get_job", {"job_id": 5}), text)

    assert answer == "This is job 5:\nBees fly."


def test_a_cancelled_job_is_confirmed() -> None:
    call = ToolUse("cancel_job", {"job_id": 3})

    assert answered("annuleer taak 3", call, "ok") == "Taak 3 is geannuleerd."


def test_an_answer_says_nothing_of_older_tool_results() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "list_jobs", "input": {"status": "active"}}
    before: list[Json] = [
        {"role": "user", "content": "status"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]},
        {"role": "assistant", "content": "Nothing is running at the moment."},
    ]

    assert said("hello", *before) == "Hello! What can I do for you?"


def test_a_message_steered_into_a_turn_is_answered_with_the_result() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "list_jobs", "input": {"status": "active"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "No jobs."}
    steered = [result, {"type": "text", "text": "what is 2+2?"}]
    messages = [
        {"role": "user", "content": "status"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": steered},
    ]

    blocks = story().reply(Request({"model": "m", "tools": MAIN, "messages": messages})).blocks

    assert blocks == "Nothing is running at the moment.\n\nThat is 4."


def test_a_failed_tool_is_admitted() -> None:
    call = ToolUse("cancel_job", {"job_id": 3})

    answer = answered("cancel job 3", call, "no such job", is_error=True)

    assert answer == "That did not work: no such job"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what about the second one?", "Number 2 is: **Cortina** – €1,749"),
        ("en de tweede?", "Nummer 2 is: **Cortina** – €1,749"),
        ("and the third?", "Number 3 is: **Batavus** – €1,999"),
    ],
)
def test_a_follow_up_is_answered_from_the_newest_result(text: str, answer: str) -> None:
    older = EVENT.replace("Cortina", "Sparta")
    messages = [
        {"role": "user", "content": older},
        {"role": "user", "content": EVENT},
    ]

    assert said(text, *messages) == answer


def test_a_job_that_has_only_been_queued_is_no_result() -> None:
    queued = {"role": "user", "content": EVENT.replace("done", "queued")}

    assert "no result" in said("what about the second one?", queued)


def test_a_follow_up_without_a_result_says_so() -> None:
    assert said("what about the second one?") == "I have no result with such an item yet."


def test_a_marker_is_answered_to_the_letter_and_in_time() -> None:
    reply = story().reply(request("[[delay: 1.5]][[reply: two\nlines]]"))

    assert (reply.blocks, reply.first_token_s) == ("two\nlines", 1.5)


@pytest.fixture
async def emulator() -> AsyncIterator[ClaudeEmulator]:
    running = ClaudeEmulator()
    await running.start()
    yield running
    await running.stop()


class Job:
    """A worker with a minimal loop: it runs every tool call and keeps what was said."""

    def __init__(self, emulator: ClaudeEmulator) -> None:
        self.emulator = emulator
        self.calls: list[tuple[str, Json]] = []
        self.requests = 0
        self.stop_reason = ""

    async def run(self, instructions: str, *notes: str) -> str:
        messages: list[Any] = [{"role": "user", "content": instructions}]
        async with AsyncAnthropic(
            api_key=KEY,
            base_url=self.emulator.base_url,
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(verify=False),
        ) as client:
            while True:
                async with client.messages.stream(
                    model="claude-sonnet-5-5",
                    max_tokens=8000,
                    system="You work.",
                    tools=WORKER,  # type: ignore[arg-type]
                    messages=messages,
                ) as stream:
                    message = (await stream.get_final_message()).to_dict()
                self.requests += 1
                content: Any = message["content"]
                messages.append({"role": "assistant", "content": content})
                uses = [block for block in content if block["type"] == "tool_use"]
                self.calls += [(use["name"], use["input"]) for use in uses]
                if not uses:
                    self.stop_reason = str(message["stop_reason"])
                    return "".join(b["text"] for b in content if b["type"] == "text")
                results: list[Any] = [
                    {"type": "tool_result", "tool_use_id": use["id"], "content": "ok"}
                    for use in uses
                ]
                wanted = [{"type": "text", "text": note} for note in notes if self.requests == 2]
                messages.append({"role": "user", "content": results + wanted})


@pytest.fixture
def job(emulator: ClaudeEmulator) -> Job:
    return Job(emulator)


async def test_a_job_goes_its_whole_way_under_the_strict_rules(job: Job) -> None:
    text = await job.run("Compare e-bikes under €2,000 for me")

    names = [name for name, _ in job.calls]
    assert names == ["report_progress"] * 4 + ["write_file", "attach_file"]
    percents = [fields["percent"] for name, fields in job.calls if name == "report_progress"]
    assert percents == sorted(percents) and percents[-1] < 100
    assert job.calls[4][1]["content"].startswith("# The best e-bike")
    assert job.stop_reason == "end_turn"
    assert "Gazelle" in text


async def test_a_report_has_what_a_renderer_must_show(job: Job) -> None:
    text = await job.run("Vergelijk elektrische fietsen onder € 2.000")

    assert text.startswith("# De beste e-bike")
    assert len(items(text)) == 3
    assert "| Fiets |" in text and "```python" in text
    assert "er is niets opgezocht" in text


async def test_any_other_topic_gets_a_report_of_its_own(job: Job) -> None:
    text = await job.run("Research the best coffee grinder\n\nAnswer in English, as Markdown.")

    assert text.startswith("# Research the best coffee grinder\n")


async def test_a_search_of_the_server_is_part_of_the_job(
    emulator: ClaudeEmulator, job: Job
) -> None:
    await job.run("Research bees")

    sent = emulator.requests[-1].body["messages"]
    kinds = [b["type"] for m in sent if m["role"] == "assistant" for b in m["content"]]
    assert "web_search_tool_result" in kinds
    assert kinds.count("thinking") == 6


async def test_the_number_of_steps_can_be_asked_for(job: Job) -> None:
    await job.run("Research bees, steps 9")

    assert [name for name, _ in job.calls].count("report_progress") == 9


def test_model_time_is_spread_over_the_calls() -> None:
    reply = story().reply(request("Research bees, sleep 7", tools=WORKER))

    assert reply.first_token_s == pytest.approx(1.0)


async def test_a_quick_job_is_one_call_without_tools(job: Job) -> None:
    assert await job.run("quick job 42") == "result 42"
    assert job.requests == 1


async def test_a_quick_job_is_bilingual(job: Job) -> None:
    assert await job.run("snelle taak 7") == "result 7"


async def test_a_marked_job_answers_its_text_at_once(job: Job) -> None:
    assert await job.run("Research. [[reply: exactly\nthis]]") == "exactly\nthis"
    assert job.requests == 1


async def test_a_job_told_to_fail_refuses(job: Job) -> None:
    text = await job.run("fail please")

    assert job.stop_reason == "refusal"
    assert "cannot do this task" in text


async def test_a_job_told_to_wrap_up_does(job: Job) -> None:
    text = await job.run("Research bees", "Your budget is nearly used: wrap up.")

    assert job.requests == 3
    assert text.startswith("# Research bees")


async def test_what_the_user_adds_to_a_job_is_in_the_answer(job: Job) -> None:
    text = await job.run("Research bees", "also look at wasps")

    assert text.endswith("You also said: also look at wasps")


def test_without_tools_a_worker_concludes() -> None:
    asked = request("Research bees", tools=WORKER)
    asked.body["tool_choice"] = {"type": "none"}

    blocks = story().reply(asked).blocks

    assert isinstance(blocks[-1], Text)


def test_a_tempo_slows_the_main_agent_only() -> None:
    script = story(first_token_s=0.4, pace_s=0.02)

    talk = script.reply(request("hello"))
    work = script.reply(request("quick job 1", tools=WORKER))

    assert (talk.first_token_s, talk.pace_s) == (0.4, 0.02)
    assert (work.first_token_s, work.pace_s) == (0.0, 0.0)


def test_a_rule_of_a_test_comes_before_the_story() -> None:
    script = story()
    script.when("HELLO", "first")
    script.when(lambda asked: "you" in asked.last_user_text, Reply("second"))

    assert script.reply(request("hello")).blocks == "first"
    assert script.reply(request("hello you")).blocks == "second"
    assert script.reply(request("thanks")).blocks == "You're welcome!"


def test_a_rule_can_be_taken_out_again() -> None:
    script = Script()
    rule = script.when("hello", "first")
    script.rules.remove(rule)

    assert "No rule" in script.reply(request("hello")).blocks


def test_a_sequence_of_replies_follows_the_turns() -> None:
    script = Script()
    script.when("go", [Reply([ToolUse("get_job", {"job_id": 1})]), "done"])
    call = {"type": "tool_use", "id": "t", "name": "get_job", "input": {"job_id": 1}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    talk = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]

    first = script.reply(request("go"))
    second = script.reply(Request({"model": "m", "tools": MAIN, "messages": talk}))

    assert first.blocks == [ToolUse("get_job", {"job_id": 1})]
    assert second.blocks == "done"
