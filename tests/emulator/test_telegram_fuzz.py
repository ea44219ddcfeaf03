"""Whatever a client sends, a method of the emulated Telegram answers or refuses; it never fails."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.emulator.telegram_account import METHODS
from bridge.emulator.telegram_params import Params, Upload
from bridge.emulator.telegram_people import People
from bridge.emulator.telegram_state import ApiError


def words(text: str) -> list[str]:
    return text.split()


ARGUMENTS = words(
    "text entities caption caption_entities reply_markup reply_parameters link_preview_options "
    "message_thread_id document photo media reaction commands scope menu_button language_code "
    "description callback_query_id action draft_id disable_notification file_id"
)
FIELDS = words(
    "type offset length url user text callback_data inline_keyboard copy_text style message_id "
    "quote emoji command description chat_id media caption web_app language"
)
WORDS = words("bold code pre text_link emoji photo document attach://file chat web_app primary")

scalars = st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(WORDS) | st.text("a😀 ")
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    arguments=st.dictionaries(st.sampled_from(ARGUMENTS), values, max_size=6),
    ids=st.fixed_dictionaries({"chat_id": st.just(1), "message_id": st.integers(1, 3)}),
)
def test_no_argument_makes_a_method_fail(
    method: str, arguments: dict[str, Any], ids: dict[str, Any]
) -> None:
    world = People(token="1:a", username="kitt_demo_bot")
    world.send(1, "hello")
    METHODS["sendMessage"](world, Params({"chat_id": 1, "text": "hi"}))
    file = Upload("a.txt", "text/plain", b"a")

    with contextlib.suppress(ApiError):
        params = Params.decode(arguments | ids, {"file": file})
        json.dumps(METHODS[method](world, params))
