// The page's own words in both languages, and dates as the person who looks reads them.

const query = new URLSearchParams(location.search);
export const language = query.get("lang") ?? (navigator.language.startsWith("nl") ? "nl" : "en");
const zone = query.get("tz") ?? undefined;

const WORDS = {
  en: {
    bot: "bot", connecting: "connecting…", blocked: "blocked by you", left: "left the group",
    members: (n) => `${n} ${n === 1 ? "member" : "members"}`,
    typing: "typing", upload_photo: "sending a photo", upload_document: "sending a file",
    record_voice: "recording", upload_voice: "sending a voice message", does: (who, what) => `${who} is ${what}…`,
    thinking: "Thinking…", stop: "Stop", edited: "edited", silently: "Sent without a sound", rings: "Sent with a sound",
    copy: "Copy", copied: "Copied", code: "code", hidden: "Hidden text", photo: "Photo", voice: "Voice message", audio: "Audio",
    round: "Video message", deleted: "Deleted message", message: "Message", you: "You", forwarded: "Forwarded from ",
    start: "Start", menu: "Menu", all: "All", general: "General", empty: "No messages here yet.",
    hint: "Say something, or press Start.", what: "What can this bot do?", notSupported: "This message is not supported by your version of Telegram.",
    pinned: "Pinned message", reply: "Reply", edit: "Edit", send: "Send", attach: "Attach a file", remove: "Remove", down: "Scroll to the newest message",
    topic: (who, name) => `${who} created the topic “${name}”`, joined: (who) => `${who} joined the group`,
    upgraded: "This group was upgraded to a supergroup", play: "Play", react: "React",
  },
  nl: {
    bot: "bot", connecting: "verbinden…", blocked: "door jou geblokkeerd", left: "heeft de groep verlaten",
    members: (n) => `${n} ${n === 1 ? "lid" : "leden"}`,
    typing: "aan het typen", upload_photo: "een foto aan het sturen", upload_document: "een bestand aan het sturen",
    record_voice: "aan het opnemen", upload_voice: "een spraakbericht aan het sturen", does: (who, what) => `${who} is ${what}…`,
    thinking: "Aan het denken…", stop: "Stop", edited: "bewerkt", silently: "Zonder geluid verstuurd", rings: "Met geluid verstuurd",
    copy: "Kopieer", copied: "Gekopieerd", code: "code", hidden: "Verborgen tekst", photo: "Foto", voice: "Spraakbericht", audio: "Audio",
    round: "Videobericht", deleted: "Verwijderd bericht", message: "Bericht", you: "Jij", forwarded: "Doorgestuurd van ",
    start: "Start", menu: "Menu", all: "Alles", general: "Algemeen", empty: "Nog geen berichten.",
    hint: "Zeg iets, of druk op Start.", what: "Wat kan deze bot?", notSupported: "Dit bericht wordt niet ondersteund door jouw versie van Telegram.",
    pinned: "Vastgezet bericht", reply: "Beantwoord", edit: "Bewerk", send: "Verstuur", attach: "Voeg een bestand toe", remove: "Weghalen", down: "Naar het nieuwste bericht",
    topic: (who, name) => `${who} maakte het onderwerp ‘${name}’`, joined: (who) => `${who} zit nu in de groep`,
    upgraded: "Deze groep is een supergroep geworden", play: "Speel af", react: "Reageer",
  },
};
const words = WORDS[language] ?? WORDS.en;
const locale = language === "nl" ? "nl-NL" : "en-GB";

export function word(name, ...values) {
  const found = words[name] ?? name;
  return typeof found === "function" ? found(...values) : found;
}

const shown = (seconds, options) => new Intl.DateTimeFormat(locale, { timeZone: zone, ...options }).format(seconds * 1000);

export const clock = (seconds) => shown(seconds, { hour: "2-digit", minute: "2-digit" });
export const day = (seconds) => shown(seconds, { day: "numeric", month: "long" });

// The Bot API's letters: r relative, w weekday, d and D a date, t and T a time.
const PARTS = {
  w: { weekday: "long" }, d: { day: "2-digit", month: "2-digit", year: "2-digit" }, D: { day: "numeric", month: "long", year: "numeric" },
  t: { hour: "2-digit", minute: "2-digit" }, T: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

export function moment(seconds, format) {
  if (format === "r") return relative(seconds - Date.now() / 1000);
  return [...format].map((letter) => shown(seconds, PARTS[letter])).join(", ");
}

function relative(seconds) {
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units.at(-1);
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const power = bytes < 1024 * 1024 ? 1 : 2;
  const number = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return `${number.format(bytes / 1024 ** power)} ${["KB", "MB"][power - 1]}`;
}
