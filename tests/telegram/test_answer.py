"""One answer in a chat: at once, while it is written, handed over, or a sentence that says why."""

import pytest
from chatting import CURSOR, House, Person

from bridge.emulator.claude import ClaudeEmulator
from bridge.emulator.claude_faults import Fault
from bridge.emulator.script import Reply, Request, ToolUse
from bridge.emulator.telegram import TelegramEmulator

LONG = "Pelicans are large water birds with a throat pouch. " * 8


async def test_a_question_is_answered_with_one_request_and_one_send(
    bridge: House, chat: Person
) -> None:
    answer = await chat.ask("What is 17 * 23?")

    await bridge.settled()
    assert answer.text == "That is 391."
    assert len(bridge.asked()) == 1
    methods = [call.method for call in bridge.telegram.calls(chat_id=chat.chat_id)]
    assert methods == ["sendMessage"]


async def test_a_short_answer_is_one_message_without_buttons(bridge: House, chat: Person) -> None:
    answer = await chat.ask("Hello")

    assert answer.buttons == []
    assert answer.edits == 0


async def test_a_slow_answer_appears_while_it_is_written(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.12))

    sent = chat.say("Tell me about pelicans")
    first = await chat.sees_where(lambda m: m.text.endswith(CURSOR))
    answer = await chat.sees(after=sent)

    assert [row[0]["text"] for row in first.buttons] == ["⏹ Stop"]
    assert answer.message_id == first.message_id
    assert answer.edits >= 2
    assert answer.text == LONG.strip()
    assert answer.buttons == []
    assert len(bridge.asked()) == 1


async def test_a_typing_sign_comes_before_a_slow_first_word(
    bridge: House, chat: Person, claude: ClaudeEmulator, telegram: TelegramEmulator
) -> None:
    claude.script.when("slow", Reply("Here it is.", first_token_s=0.6))

    answer = await chat.ask("A slow one")

    assert answer.text == "Here it is."
    methods = [call.method for call in telegram.calls(chat_id=chat.chat_id)]
    assert methods == ["sendChatAction", "sendMessage"]


async def test_markdown_arrives_as_entities(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("bold", "This is **very** bold.")

    answer = await chat.ask("Something bold")

    assert answer.text == "This is very bold."
    assert answer.entities == [{"type": "bold", "offset": 8, "length": 4}]


async def test_a_very_long_answer_is_its_beginning_and_a_file(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    whole = [f"Paragraph {n}. {LONG * 8}\n\n" for n in range(6)]
    replies = iter([Reply(text, "max_tokens", delta_chars=4_000) for text in whole])
    claude.script.when(lambda request: True, lambda request: next(replies, Reply("The end.")))

    sent = chat.say("Tell me everything")
    file = await chat.sees_where(lambda m: m.document is not None)

    assert file.document is not None
    assert file.document.name == "kitt-answer.md"
    assert file.document.data.decode() == "".join(whole) + "The end."
    texts = [message.text for message in chat.shown(after=sent) if message.document is None]
    assert len(texts) == 1
    assert "The whole answer is in the file." in texts[0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Count the pelicans in the background", "en"),
        ("Tel de pelikanen op de achtergrond", "nl"),
        ("Tel de pelikanen, laat me weten als het klaar is", "nl"),
    ],
)
async def test_in_the_background_is_a_job_even_when_the_model_only_talks(
    bridge: House, chat: Person, claude: ClaudeEmulator, text: str, language: str
) -> None:
    claude.script.when(lambda request: not request.is_worker, "Sure, I like pelicans.")

    card = await chat.ask(text, language=language)

    jobs = bridge.jobs()
    assert len(jobs) == 1
    assert jobs[0]["prompt"].startswith(text)
    assert jobs[0]["chat_id"] == "7"
    assert "#1" in card.text
    assert "Sure, I like pelicans." in card.text
    assert len(bridge.asked()) == 1


@pytest.mark.parametrize(
    ("text", "promise"),
    [
        ("How many pelicans are there?", "I'll look that up in the background."),
        ("How many pelicans are there?", "I will count them and get back to you."),
        ("Hoeveel pelikanen zijn er?", "Ik zoek het uit en laat het je weten."),
    ],
)
async def test_a_promise_without_a_tool_call_becomes_a_job(
    bridge: House, chat: Person, claude: ClaudeEmulator, text: str, promise: str
) -> None:
    claude.script.when(lambda request: not request.is_worker, promise)

    card = await chat.ask(text)

    assert [job["prompt"] for job in bridge.jobs()] == [text]
    assert promise in card.text


@pytest.mark.parametrize("text", ["Hello!", "Dank je wel", "What is 2+2?", "Hoe gaat het met je?"])
async def test_small_talk_never_becomes_a_job(bridge: House, chat: Person, text: str) -> None:
    await chat.ask(text)

    await bridge.settled()
    assert bridge.jobs() == []


async def test_a_question_about_the_background_lists_jobs_and_starts_none(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    await chat.ask("/bg Count the pelicans")

    def rule(request: Request) -> Reply | None:
        if request.tool_results:
            return Reply(f"Now: {request.tool_results[-1].text}")
        return Reply([ToolUse("list_jobs", {"status": "active"})])

    claude.script.when("running in the background", rule)

    answer = await chat.ask("What is running in the background?")

    assert "Now: #1 pending" in answer.text
    assert len(bridge.jobs()) == 1
    assert "kitt-directive" not in str(bridge.asked()[0].body["messages"])


async def test_handing_over_is_one_request_and_one_card(bridge: House, chat: Person) -> None:
    sent = chat.say("Compare three e-bikes under € 2,000 in the background")
    card = await chat.sees(after=sent)

    await bridge.settled()
    assert len(bridge.asked()) == 1
    assert len(chat.shown()) == 1
    assert "I'm on it" in card.text
    assert "🛠 #1 · Compare e-bikes" in card.text
    assert card.silent
    assert card.reply_to == sent
    assert [row[0]["text"] for row in card.buttons] == ["⏹ Cancel"]


async def test_two_tasks_in_one_reply_are_two_jobs_and_two_cards(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when(
        "both",
        Reply([start("Count the pelicans"), start("Count the herons")]),
    )

    chat.say("Do both in the background")
    await chat.sees("#2")

    assert [job["prompt"] for job in bridge.jobs()] == ["Count the pelicans", "Count the herons"]
    assert len(bridge.asked()) == 1


async def test_the_same_task_that_is_still_open_is_not_started_again(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", [Reply([start("Count the pelicans")]), "It is on its way."])
    await chat.ask("Count the pelicans")

    answer = await chat.ask("Count the pelicans again")

    assert answer.text == "It is on its way."
    assert len(bridge.jobs()) == 1


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The model is not reachable now. I do this as soon as it is back."),
        ("nl", "Het model is nu niet bereikbaar. Ik doe dit zodra het terug is."),
    ],
)
async def test_an_overloaded_model_makes_the_request_a_job(
    bridge: House, chat: Person, claude: ClaudeEmulator, language: str, sentence: str
) -> None:
    claude.order(Fault(times=2, status=529))

    card = await chat.ask("How high is the Eiffel tower?", language=language)

    assert sentence in card.text
    assert "#1" in card.text
    assert [job["prompt"] for job in bridge.jobs()] == ["How high is the Eiffel tower?"]
    assert len(bridge.asked()) == 2


async def test_one_failure_of_the_model_is_not_noticed(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(status=529))

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text == "That is 391."
    assert bridge.jobs() == []


async def test_a_provider_that_asks_for_a_long_wait_is_not_asked_again(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(status=429, retry_after_s=30))

    card = await chat.ask("How high is the Eiffel tower?")

    assert "#1" in card.text
    assert len(bridge.asked()) == 1


async def test_a_refused_connection_to_the_model_makes_the_request_a_job(
    house: House, chat: Person
) -> None:
    house.set(anthropic_base_url="http://127.0.0.1:1")
    await house.start()

    card = await chat.ask("How high is the Eiffel tower?")

    assert "The model is not reachable now." in card.text
    assert len(house.jobs()) == 1


async def test_a_stream_that_breaks_twice_makes_the_request_a_job(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.order(Fault(times=2, cut_after_bytes=900))

    card = await chat.ask("How high is the Eiffel tower?")

    assert "The model is not reachable now." in card.text
    assert len(bridge.jobs()) == 1


async def test_words_that_were_shown_stay_when_the_model_goes_away(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when("pelicans", Reply(LONG, pace_s=0.1))
    claude.order(Fault(error_after_events=12))
    claude.order(Fault(status=529))

    chat.say("Tell me about pelicans")
    card = await chat.sees("#1")

    await bridge.settled()
    partial, last = chat.shown()
    assert partial.text.startswith("Pelicans are large")
    assert CURSOR not in partial.text
    assert partial.buttons == []
    assert last.message_id == card.message_id


async def test_a_wrong_key_is_said_in_a_sentence(house: House, chat: Person) -> None:
    house.set(anthropic_key=type(house.settings.anthropic_key)("sk-ant-wrong"))
    await house.start()

    answer = await chat.ask("What is 17 * 23?")

    assert answer.text.startswith("The model provider refuses my request.")
    assert "ANTHROPIC_API_KEY" in answer.text
    assert house.jobs() == []


async def test_a_refusal_of_the_model_is_said_in_a_sentence(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    details = {"type": "refusal", "category": None, "explanation": "It is dangerous."}
    claude.script.when("poison", Reply("", stop_reason="refusal", stop_details=details))

    answer = await chat.ask("How do I make poison?", language="nl")

    assert answer.text.startswith("Daar kan ik niet bij helpen.")
    assert bridge.jobs() == []


async def test_an_answer_cut_at_the_length_limit_arrives_whole(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    claude.script.when(lambda r: r.last_user_text == "Count", Reply("One, two,", "max_tokens"))
    claude.script.when("cut off", " three.")

    answer = await chat.ask("Count")

    assert answer.text == "One, two, three."


async def test_a_turn_that_never_ends_is_ended_with_a_sentence(
    bridge: House, chat: Person, claude: ClaudeEmulator
) -> None:
    def rule(request: Request) -> Reply:
        use = ToolUse("list_jobs", {"status": "all"})
        return Reply([use] if request.can_call("list_jobs") else "")

    claude.script.when(lambda request: True, rule)

    answer = await chat.ask("Please loop")

    assert (
        answer.text == "This took more steps than an answer may take. Ask for it in the background."
    )


async def test_a_reply_to_a_message_tells_the_model_what_this_means(
    bridge: House, chat: Person
) -> None:
    answer = await chat.ask("What is 17 * 23?")

    await chat.ask("Is this right?", reply_to=answer.message_id)

    sent = str(bridge.asked()[-1].body["messages"][-1])
    assert "<kitt-quote>That is 391.</kitt-quote>" in sent


async def test_the_state_of_open_jobs_is_shown_to_the_model(bridge: House, chat: Person) -> None:
    await chat.ask("/bg Count the pelicans")

    await chat.ask("Hello")

    sent = str(bridge.asked()[-1].body["messages"][-1])
    assert "<kitt-state>jobs: #1 pending “Count the pelicans”</kitt-state>" in sent


async def test_the_request_for_hello_stays_small(bridge: House, chat: Person) -> None:
    await chat.ask("hello")

    assert bridge.asked()[0].size < 6_000


def start(instructions: str) -> ToolUse:
    return ToolUse(
        "start_background_job",
        {
            "acknowledgement": "I count them.",
            "title": instructions,
            "instructions": instructions,
            "kind": "other",
            "priority": "normal",
        },
    )


# --- what a job asks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "how"),
    [
        ("en", "Answer here and the job goes on."),
        ("nl", "Antwoord hier, dan gaat de taak verder."),
    ],
)
async def test_a_question_of_a_job_is_answered_in_the_chat(
    bridge: House, claude: ClaudeEmulator, chat: Person, language: str, how: str
) -> None:
    chat.language = language
    card = await chat.ask("/bg Paint the fence")
    await bridge.queue.ask(await bridge.job_runs(), "Which colour?")
    question = await chat.sees(how)
    assert question.text.startswith("❓ #1 · Paint the fence\n\nWhich colour?")
    call = ToolUse("answer_job", {"job_id": 1, "answer": "blue"})
    claude.script.when("blue, please", [Reply([call]), Reply("Blue it is.")])

    assert (await chat.ask("blue, please")).text == "Blue it is."

    (job,) = bridge.jobs()
    assert (job["status"], job["answer"]) == ("pending", "blue")
    told = [event for event in Request(claude.requests[-1].body).events if event.text]
    assert [(event.attributes["status"], event.text) for event in told] == [
        ("waiting", "Which colour?")
    ]
    assert card.message_id < question.message_id
