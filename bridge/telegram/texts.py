"""Every text KITT itself says, in every language it speaks. A new language is one more column."""

from typing import Final

from bridge.telegram.schedule_texts import SCHEDULE_TEXTS

LANGUAGES: Final = ("en", "nl")

TEXTS: Final[dict[str, tuple[str, str]]] = {
    # greeting and help
    "welcome": (
        "Hello {name}! I am KITT. Ask me anything; for longer work I start a background job and "
        "you keep chatting.\n\nTry: “Compare three e-bikes under € 2,000 in the background”.\n"
        "/help shows what I can do.",
        "Hallo {name}! Ik ben KITT. Vraag me alles; voor langer werk start ik een taak op de "
        "achtergrond en praat jij gewoon door.\n\nProbeer: “Vergelijk op de achtergrond drie "
        "e-bikes onder € 2.000”.\n/help laat zien wat ik kan.",
    ),
    "claimed": (
        "You are now the owner of this bot.\n\n{welcome}",
        "Je bent nu de eigenaar van deze bot.\n\n{welcome}",
    ),
    "claim_wrong": (
        "This code is not valid (any more). Run `kitt setup` for a new one.",
        "Deze code is niet (meer) geldig. Maak een nieuwe met `kitt setup`.",
    ),
    "unclaimed": (
        "Nobody owns this bot yet: open the link that `kitt setup` showed.",
        "Deze bot heeft nog geen eigenaar: open de link die `kitt setup` liet zien.",
    ),
    "stranger": (
        "This is a private bot. Ask its owner for access.",
        "Dit is een privébot. Vraag de eigenaar om toegang.",
    ),
    "help": (
        "Just write to me. Say “in the background” and I do it while you go on chatting.\n\n"
        "/bg task – start a background job\n/jobs – your jobs\n/job 12 – one job\n"
        "/cancel 12 – stop a job\n/retry 12 – run a job again\n/schedule – what recurs\n"
        "/stop – stop my answer\n/new – start a new conversation\n/status – how I am doing",
        "Schrijf me gewoon. Zeg “op de achtergrond” en ik doe het terwijl jij doorpraat.\n\n"
        "/bg opdracht – start een taak op de achtergrond\n/jobs – je taken\n/job 12 – één taak\n"
        "/cancel 12 – stop een taak\n/retry 12 – doe een taak opnieuw\n/schedule – wat terugkeert\n"
        "/stop – stop mijn antwoord\n/new – begin een nieuw gesprek\n/status – hoe het met me gaat",
    ),
    "command_new": ("start a new conversation", "begin een nieuw gesprek"),
    "command_stop": ("stop my answer", "stop mijn antwoord"),
    "command_bg": ("start a background job", "start een taak op de achtergrond"),
    "command_jobs": ("your jobs", "je taken"),
    "command_job": ("one job: /job 12", "één taak: /job 12"),
    "command_cancel": ("stop a job: /cancel 12", "stop een taak: /cancel 12"),
    "command_retry": ("run a job again: /retry 12", "doe een taak opnieuw: /retry 12"),
    "command_status": ("how I am doing", "hoe het met me gaat"),
    "command_help": ("what I can do", "wat ik kan"),
    "unknown_command": (
        "I do not know {command}. /help shows what I can do.",
        "{command} ken ik niet. /help laat zien wat ik kan.",
    ),
    # conversation
    "new_conversation": (
        "A new conversation. What can I do?",
        "Een nieuw gesprek. Wat kan ik doen?",
    ),
    "nothing_to_stop": (
        "I am not answering anything now. /jobs shows what runs in the background.",
        "Ik ben nu niets aan het beantwoorden. /jobs laat zien wat op de achtergrond loopt.",
    ),
    "stopped": ("⏹ stopped", "⏹ gestopt"),
    "refused": ("I cannot help with that. {why}", "Daar kan ik niet bij helpen. {why}"),
    "too_long": (
        "That is {chars} characters; I can take {chars_max} at a time. Send the text as parts.",
        "Dat zijn {chars} tekens; ik kan er {chars_max} tegelijk aan. Stuur de tekst in delen.",
    ),
    # what a message may be
    "not_this_kind": (
        "I can take text, pictures and files. Tell me in one of these what you need.",
        "Tekst, foto's en bestanden kan ik aan. Vertel op een van die manieren wat je nodig hebt.",
    ),
    "not_heard": (
        "I cannot listen to voice messages, audio and video notes yet. Write it to me.",
        "Spraakberichten, audio en videoberichten kan ik nog niet beluisteren. Schrijf het me.",
    ),
    "file_too_large": (
        "{name} is {size_mb} MB and Telegram lets me fetch at most 20 MB. Send it compressed or in "
        "parts, or send a link to it.",
        "{name} is {size_mb} MB en van Telegram mag ik hoogstens 20 MB ophalen. Stuur het "
        "gecomprimeerd of in delen, of stuur een link.",
    ),
    "file_failed": (
        "I could not fetch {name} from Telegram. Please send it again.",
        "Ik kon {name} niet ophalen bij Telegram. Stuur het nog eens.",
    ),
    "something_wrong": (
        "Something went wrong on my side and is in the log. Please ask again.",
        "Er ging bij mij iets mis; het staat in het log. Vraag het nog eens.",
    ),
    "limit_reached": (
        "This took more steps than an answer may take. Ask for it in the background.",
        "Dit kostte meer stappen dan een antwoord mag kosten. Vraag het op de achtergrond.",
    ),
    "provider_refuses": (
        "The model provider refuses my request. {why}",
        "De modelaanbieder weigert mijn verzoek. {why}",
    ),
    "restarted": (
        "⚠️ I was restarted while handling a message and it keeps failing; I set it aside.",
        "⚠️ Ik werd herstart tijdens een bericht en het blijft misgaan; ik leg het opzij.",
    ),
    "model_away": (
        "The model is not reachable now. I do this as soon as it is back.",
        "Het model is nu niet bereikbaar. Ik doe dit zodra het terug is.",
    ),
    # what the owner is told of the programs (alerts.py, troubles.py)
    "alert_crashing": (
        "⚠️ {program} keeps crashing ({at} UTC). It is started again each time, and jobs go on "
        "where they were.\nWhy: kitt logs {program}",
        "⚠️ {program} crasht steeds ({at} UTC). Het wordt telkens opnieuw gestart en taken gaan "
        "verder waar ze waren.\nWaarom: kitt logs {program}",
    ),
    "alert_refused": (
        "⚠️ {program} does not run: a setting or file is wrong ({at} UTC). It is tried again every "
        "minute.\nWhich one: kitt logs {program}",
        "⚠️ {program} draait niet: een instelling of bestand klopt niet ({at} UTC). Elke minuut "
        "volgt een nieuwe poging.\nWelke: kitt logs {program}",
    ),
    "alert_hung": (
        "⚠️ {program} stood still for {seconds} s and was replaced ({at} UTC).\n"
        "Where it stood: kitt logs {program}",
        "⚠️ {program} stond {seconds} s stil en is vervangen ({at} UTC).\n"
        "Waar het stilstond: kitt logs {program}",
    ),
    "alert_stopped": (
        "⚠️ {program} was stopped by a signal for {seconds} s and was replaced ({at} UTC).",
        "⚠️ {program} was {seconds} s stilgezet door een signaal en is vervangen ({at} UTC).",
    ),
    "alert_stable": (
        "✅ {program} runs well again, for 10 minutes now.",
        "✅ {program} draait weer goed, al 10 minuten.",
    ),
    # what the owner is told of breaker.py
    "alert_breaker_opened": (
        "⚠️ The model provider does not answer. Jobs wait and go on by themselves.\nCause: {reason}",
        "⚠️ De modelaanbieder antwoordt niet. Taken wachten en gaan vanzelf verder.\n"
        "Oorzaak: {reason}",
    ),
    "alert_breaker_closed": (
        "✅ The model provider answers again. The jobs that waited go on.",
        "✅ De modelaanbieder antwoordt weer. De taken die wachtten gaan verder.",
    ),
    "alert_host_opened": (
        "⚠️ {name} does not answer. Jobs that need it wait and go on by themselves.\n"
        "Cause: {reason}",
        "⚠️ {name} antwoordt niet. Taken die dat nodig hebben wachten en gaan vanzelf verder.\n"
        "Oorzaak: {reason}",
    ),
    "alert_host_closed": (
        "✅ {name} answers again. The jobs that waited go on.",
        "✅ {name} antwoordt weer. De taken die wachtten gaan verder.",
    ),
    # jobs
    "bg_how": (
        "Write the task behind it: /bg compare three e-bikes.",
        "Zet de opdracht erachter: /bg vergelijk drie e-bikes.",
    ),
    "acknowledged": ("I do this in the background.", "Ik doe dit op de achtergrond."),
    "job_how": (
        "Write the number behind it: /{command} 12. /jobs shows them.",
        "Zet het nummer erachter: /{command} 12. /jobs laat ze zien.",
    ),
    "no_job": ("There is no job {id} here.", "Er is hier geen taak {id}."),
    "no_jobs": (
        "No jobs yet. Say “in the background”, or /bg and the task.",
        "Nog geen taken. Zeg “op de achtergrond”, of /bg en de opdracht.",
    ),
    "jobs_title": (
        "Jobs · {running} running · {waiting} waiting",
        "Taken · {running} bezig · {waiting} wacht",
    ),
    "already_over": (
        "Job {id} has ended already ({status}).",
        "Taak {id} was al klaar ({status}).",
    ),
    "cancelled_it": ("⏹ Job {id} is cancelled.", "⏹ Taak {id} is geannuleerd."),
    "retried_it": ("🔁 Job {id} runs again.", "🔁 Taak {id} loopt opnieuw."),
    "cannot_retry": (
        "Job {id} is {status}; only a failed or cancelled job can run again.",
        "Taak {id} is {status}; alleen een mislukte of geannuleerde taak kan opnieuw.",
    ),
    "not_for_you": ("This button is not for this chat.", "Deze knop hoort niet bij deze chat."),
    "button_cancel": ("⏹ Cancel", "⏹ Annuleren"),
    "button_retry": ("↻ Try again", "↻ Probeer opnieuw"),
    "button_details": ("📋 Details", "📋 Details"),
    "button_stop": ("⏹ Stop", "⏹ Stop"),
    # the card
    "card_pending": (
        "⏳ In the queue · just go on chatting",
        "⏳ In de wachtrij · praat gewoon door",
    ),
    "card_pending_after": (
        "⏳ In the queue ({before} before you) · just go on chatting",
        "⏳ In de wachtrij ({before} voor je) · praat gewoon door",
    ),
    "card_scheduled": ("🕓 Goes on at {at} UTC", "🕓 Gaat verder om {at} UTC"),
    "card_blocked": ("⛓ Waits for another job", "⛓ Wacht op een andere taak"),
    "card_waiting": ("❓ Waits for your answer", "❓ Wacht op je antwoord"),
    "card_started": ("working on it", "bezig"),
    "card_again": (
        "🔁 attempt {attempt} of {max_attempts}",
        "🔁 poging {attempt} van {max_attempts}",
    ),
    "card_tokens": ("{tokens}k tokens", "{tokens}k tokens"),
    "card_cancelled": ("Cancelled", "Geannuleerd"),
    "card_failed": ("Failed", "Mislukt"),
    "card_done": ("Done", "Klaar"),
    # endings
    "result_in_file": (
        "The whole answer is in the file.",
        "Het hele antwoord staat in het bestand.",
    ),
    "failed_title": (
        "❌ #{id} failed ({attempts} attempts)",
        "❌ #{id} mislukt ({attempts} pogingen)",
    ),
    "failed_title_one": ("❌ #{id} failed", "❌ #{id} mislukt"),
    "see_job": ("Job {id} has ended: see /job {id}.", "Taak {id} is afgelopen: zie /job {id}."),
    "file_too_big": (
        "The file {name} is too big for Telegram; it is kept with the job.",
        "Het bestand {name} is te groot voor Telegram; het blijft bij de taak.",
    ),
    "file_missing": ("The file {name} is no longer there.", "Het bestand {name} is er niet meer."),
    "question_how": (
        "Answer here and the job goes on.",
        "Antwoord hier, dan gaat de taak verder.",
    ),
    "repeated": ("↻ (possibly repeated)", "↻ (mogelijk dubbel)"),
    "cause": ("Cause: {cause}", "Oorzaak: {cause}"),
    # causes: the code before the colon of jobs.error
    "cause_worker_died": (
        "the work broke off three times because its process was killed",
        "het werk brak drie keer af doordat het proces werd beëindigd",
    ),
    "cause_parent_failed": (
        "the job it waited for did not succeed",
        "de taak waarop deze wachtte is niet gelukt",
    ),
    "cause_refused": ("the model declined this task", "het model wijst deze opdracht af"),
    "cause_model_refused": (
        "the model provider refuses the request",
        "de modelaanbieder weigert het verzoek",
    ),
    "cause_limit": ("the job used up all of its steps", "de taak heeft al zijn stappen gebruikt"),
    "cause_timeout": (
        "the job took longer than it may",
        "de taak duurde langer dan mag",
    ),
    "cause_expired": (
        "the job could not start in time and is too old now",
        "de taak kon niet op tijd beginnen en is nu te oud",
    ),
    "cause_error": ("an unexpected error", "een onverwachte fout"),
    # statuses in a sentence
    "status_pending": ("waiting", "in de wachtrij"),
    "status_scheduled": ("planned", "gepland"),
    "status_blocked": ("waiting for another job", "aan het wachten op een andere taak"),
    "status_running": ("running", "bezig"),
    "status_waiting": ("waiting for your answer", "aan het wachten op je antwoord"),
    "status_done": ("done", "klaar"),
    "status_failed": ("failed", "mislukt"),
    "status_cancelled": ("cancelled", "geannuleerd"),
    "status_report": (
        "Running: {running} · waiting: {pending} · planned: {scheduled}\n"
        "Done: {done} · failed: {failed} · cancelled: {cancelled}\n"
        "Messages that still have to reach you: {owed}\nModel: {model}",
        "Bezig: {running} · in de wachtrij: {pending} · gepland: {scheduled}\n"
        "Klaar: {done} · mislukt: {failed} · geannuleerd: {cancelled}\n"
        "Berichten die je nog moeten bereiken: {owed}\nModel: {model}",
    ),
    **SCHEDULE_TEXTS,
}


def say(language: str, key: str, **values: object) -> str:
    """A text in a language; an unknown language is English."""
    text = TEXTS[key][LANGUAGES.index(language) if language in LANGUAGES else 0]
    return text.format(**values) if values else text


def cause(language: str, error: str | None) -> str:
    """Why a job failed: the translated code of `jobs.error`, and its detail."""
    code, _, detail = (error or "error").partition(": ")
    key = f"cause_{code}"
    if key not in TEXTS:
        return error or ""
    return say(language, key) + (f" ({detail})" if detail else "")
