"""What the default story says, in English and Dutch."""

from __future__ import annotations

# name: (English, Dutch); fields in braces are filled by `say`.
TEXTS: dict[str, tuple[str, str]] = {
    "hello": (
        "Hello! What can I do for you?",
        "Hallo! Wat kan ik voor je doen?",
    ),
    "how_are_you": ("All well here, thanks. And you?", "Prima, dank je. En met jou?"),
    "thanks": ("You're welcome!", "Graag gedaan!"),
    "who": (
        "I'm KITT. Behind me there is no real language model right now but a scripted model: "
        "a short list of fixed rules, made for the demo and the tests.",
        "Ik ben KITT. Achter mij zit nu geen echt taalmodel maar een model met een script: "
        "een korte lijst vaste regels, gemaakt voor de demo en de tests.",
    ),
    "help": (
        "Chat with me, give me a sum, or ask me to research or compare something: I do that "
        "in the background and you keep talking. Ask “what is running?” to see how far I am.",
        "Praat met me, geef me een som, of vraag me iets te zoeken of te vergelijken: dat doe ik "
        "op de achtergrond en jij praat door. Vraag “hoe ver ben je?” om te zien wat er loopt.",
    ),
    "joke": (
        "Why does a queue never quarrel? First come, first served.",
        "Waarom maakt een wachtrij nooit ruzie? Wie het eerst komt, is het eerst aan de beurt.",
    ),
    "joke_2": (
        "There are two hard things in computing: naming, caching and off-by-one errors.",
        "Twee dingen zijn moeilijk in de informatica: namen, caches en fouten van één ernaast.",
    ),
    "files": (
        "I am a scripted model and look at nothing; this is what reached me:",
        "Ik ben een model met een script en bekijk niets; dit heeft me bereikt:",
    ),
    "sum": ("That is {value}.", "Dat is {value}."),
    "no_sum": ("Nothing can be divided by zero.", "Delen door nul kan niet."),
    "unknown": (
        "I am a scripted model and have no rule for that. Try “hello”, “what is 17*23”, or "
        "“compare e-bikes under €2,000”.",
        "Ik ben een model met een script en heb daar geen regel voor. Probeer “hallo”, "
        "“hoeveel is 17 keer 23” of “zoek de beste e-bike onder € 2.000”.",
    ),
    "acknowledged": ("I'm on it: {title}.", "Ik ga ermee aan de slag: {title}."),
    "proposed": ("Is this what you mean?", "Bedoel je dit?"),
    "schedules": ("These are your schedules:\n{text}", "Dit staat gepland:\n{text}"),
    "job": ("Background job", "Achtergrondtaak"),
    "started": ("I have started it.", "Ik ben eraan begonnen."),
    "nothing": ("Nothing is running at the moment.", "Er loopt op dit moment niets."),
    "jobs": ("This is where things stand:\n{jobs}", "Zo staat het ervoor:\n{jobs}"),
    "details": ("This is job {job}:\n{text}", "Dit is taak {job}:\n{text}"),
    "cancelled": ("Job {job} is cancelled.", "Taak {job} is geannuleerd."),
    "retried": ("Job {job} runs again.", "Taak {job} loopt weer."),
    "which": (
        "Which job do you mean? Give me its number.",
        "Welke taak bedoel je? Geef het nummer.",
    ),
    "tool_failed": ("That did not work: {text}", "Dat lukte niet: {text}"),
    "item": ("Number {number} is: {item}", "Nummer {number} is: {item}"),
    "no_item": (
        "I have no result with such an item yet.",
        "Ik heb nog geen resultaat met zo'n onderdeel.",
    ),
    "refused": (
        "I cannot do this task: the instructions told the script to fail.",
        "Ik kan deze taak niet doen: in de opdracht staat dat het script moet falen.",
    ),
    "caption": ("The whole report", "Het hele rapport"),
    "question": ("What is your budget?", "Wat is je budget?"),
    "also": ("You also said: {text}", "Je zei ook: {text}"),
    "sample": (
        "_Sample figures: a scripted model wrote this, nothing was looked up._",
        "_Voorbeeldcijfers: een model met een script schreef dit, er is niets opgezocht._",
    ),
}

STATUSES = {
    "pending": ("waiting", "wacht"),
    "scheduled": ("planned", "gepland"),
    "blocked": ("blocked", "geblokkeerd"),
    "running": ("running", "bezig"),
    "waiting": ("waiting for an answer", "wacht op antwoord"),
    "done": ("done", "klaar"),
    "failed": ("failed", "mislukt"),
    "cancelled": ("cancelled", "geannuleerd"),
}

STEPS = (
    ("Reading the question", "Leest de vraag"),
    ("Looking for sources", "Zoekt bronnen"),
    ("Reading what was found", "Leest wat er gevonden is"),
    ("Comparing the options", "Vergelijkt de opties"),
    ("Checking the figures", "Controleert de cijfers"),
    ("Writing the report", "Schrijft het rapport"),
)

E_BIKES = (
    """# The best e-bike under €2,000

**Advice: Gazelle Paris C7 (€1,899).** The longest range for the money of the three.

## Three options

1. **Gazelle Paris C7** – €1,899, range 95 km, 23 kg
2. **Cortina E-Common** – €1,749, range 80 km, 25 kg
3. **Batavus Altura** – €1,999, range 110 km, 26 kg

## Side by side

| Bike | Price | Range | Weight |
| --- | ---: | ---: | ---: |
| Gazelle Paris C7 | €1,899 | 95 km | 23 kg |
| Cortina E-Common | €1,749 | 80 km | 25 kg |
| Batavus Altura | €1,999 | 110 km | 26 kg |

## How they were weighed

```python
score = range_km * 20 - price_eur / 2 - weight_kg * 10
```
""",
    """# De beste e-bike onder € 2.000

**Advies: Gazelle Paris C7 (€ 1.899).** Van de drie de meeste kilometers voor het geld.

## Drie opties

1. **Gazelle Paris C7** – € 1.899, bereik 95 km, 23 kg
2. **Cortina E-Common** – € 1.749, bereik 80 km, 25 kg
3. **Batavus Altura** – € 1.999, bereik 110 km, 26 kg

## Naast elkaar

| Fiets | Prijs | Bereik | Gewicht |
| --- | ---: | ---: | ---: |
| Gazelle Paris C7 | € 1.899 | 95 km | 23 kg |
| Cortina E-Common | € 1.749 | 80 km | 25 kg |
| Batavus Altura | € 1.999 | 110 km | 26 kg |

## Hoe ze gewogen zijn

```python
score = bereik_km * 20 - prijs_eur / 2 - gewicht_kg * 10
```
""",
)

ANYTHING = (
    """# {title}

**Advice: option A.** It costs the least for what it does.

## Three options

1. **Option A** – €120, 4.5 of 5 in the reviews
2. **Option B** – €150, 4.2 of 5 in the reviews
3. **Option C** – €95, 3.8 of 5 in the reviews

## Side by side

| Option | Price | Score |
| --- | ---: | ---: |
| A | €120 | 4.5 |
| B | €150 | 4.2 |
| C | €95 | 3.8 |

## How they were weighed

```python
value = score / price_eur * 100
```
""",
    """# {title}

**Advies: optie A.** Die kost het minst voor wat hij doet.

## Drie opties

1. **Optie A** – € 120, 4,5 van 5 in de recensies
2. **Optie B** – € 150, 4,2 van 5 in de recensies
3. **Optie C** – € 95, 3,8 van 5 in de recensies

## Naast elkaar

| Optie | Prijs | Score |
| --- | ---: | ---: |
| A | € 120 | 4,5 |
| B | € 150 | 4,2 |
| C | € 95 | 3,8 |

## Hoe ze gewogen zijn

```python
waarde = score / prijs_eur * 100
```
""",
)


def say(name: str, dutch: bool, **fields: object) -> str:
    """One of the texts in the wanted language."""
    return TEXTS[name][dutch].format(**fields)
