// Messages as DOM nodes.

import { element, formatted, link } from "/chat.text.js";
import { rich, words } from "/chat.rich.js";
import { clock, size, word } from "/chat.words.js";

const COLORS = 7; // of the names in a group

// One message of the log. `view` says who looks and where: { viewer, group, sounds, rich, topicName }.
// `original` is the replied message when it is still there, `album` all members of one album.
export function bubble(message, original, opened, view, album = [message]) {
  const item = element("li", side(message, view.viewer));
  item.dataset.id = message.message_id;
  if (message.service) {
    item.className = "service";
    item.append(element("span", "", report(message)));
    return item;
  }
  const caption = album.find((member) => member.text) ?? message;
  const body = element("div", "bubble", ...parts(message, original, view), ...media(album));
  body.append(...said(caption, opened, view), ...reactions(message, view.viewer), meta(message, view));
  if (message.photo && !caption.text) body.classList.add("bare");
  if (view.group && !item.classList.contains("mine")) item.append(avatar(message.name, message.user_id));
  item.append(body);
  if (message.buttons.length) item.append(keyboard(message));
  return item;
}

function side(message, viewer) {
  if (message.from_bot) return "bot";
  return message.user_id === viewer ? "mine" : "other";
}

export function avatar(name, id) {
  const node = element("span", `avatar c${Math.abs(id) % COLORS}`, name.slice(0, 1));
  node.setAttribute("aria-hidden", "true");
  return node;
}

function parts(message, original, view) {
  const nodes = [];
  if (view.group) nodes.push(element("b", `sender c${Math.abs(message.user_id) % COLORS}`, message.name));
  if (view.topicName) nodes.push(element("span", "topic-chip", view.topicName));
  if (message.forwarded_from) nodes.push(element("div", "forwarded", word("forwarded"), element("b", "", message.forwarded_from)));
  if (message.reply_to !== null) nodes.push(replyQuote(message, original, view));
  return nodes;
}

function media(album) {
  const photos = album.filter((member) => member.photo).map((member) => photo(member.photo));
  const nodes = photos.length > 1 ? [element("div", `grid of${Math.min(photos.length, 4)}`, ...photos)] : photos;
  for (const member of album) {
    if (member.document) nodes.push(documentCard(member.document));
    if (member.sound) nodes.push(soundCard(member.sound));
    if (member.video_note) nodes.push(element("div", "round", element("span", "", seconds(member.video_note.duration))));
  }
  return nodes;
}

function said(message, opened, view) {
  if (message.rich && !(view.rich && message.shows_rich)) return [element("em", "unsupported", word("notSupported"))];
  if (message.rich) return [rich(message.rich, opened)];
  return message.text ? [element("div", "text", ...formatted(message.text, message.entities, opened))] : [];
}

function report({ name, service }) {
  if (service.forum_topic_created) return word("topic", name, service.forum_topic_created.name);
  if (service.new_chat_members) return word("joined", service.new_chat_members[0].first_name);
  return word("upgraded");
}

function replyQuote(message, original, view) {
  const name = element("b", "", original ? original.name : word("message"));
  const text = message.quote || (original ? preview(original) : word("deleted"));
  const node = element("button", "reply", name, element("span", "", text));
  if (original && view.group) node.classList.add(`c${Math.abs(original.user_id) % COLORS}`);
  if (message.quote) node.classList.add("quoted");
  node.type = "button";
  node.dataset.jump = message.reply_to;
  return node;
}

export function preview(message) {
  if (message.text) return message.text.slice(0, 200).replaceAll("\n", " ");
  if (message.rich) return words(message.rich).slice(0, 200);
  if (message.service) return report(message);
  if (message.sound) return word(message.sound.kind);
  if (message.video_note) return word("round");
  return message.photo ? word("photo") : message.document ? message.document.file_name : "";
}

export function fileUrl(file) {
  return `/emulator/file?file_id=${encodeURIComponent(file.file_id)}`;
}

function photo(file) {
  const image = element("img", "photo");
  image.src = fileUrl(file);
  image.alt = word("photo");
  if (file.width) image.width = file.width;
  if (file.height) image.height = file.height;
  const anchor = element("a", "photo-link", image);
  anchor.href = image.src;
  anchor.target = "_blank";
  anchor.rel = "noopener";
  return anchor;
}

function documentCard(file) {
  const suffix = file.file_name.includes(".") ? file.file_name.split(".").pop() : "file";
  const names = element("span", "names", element("b", "", file.file_name), element("small", "", size(file.file_size)));
  const anchor = element("a", "document", element("span", "suffix", suffix.slice(0, 4)), names);
  anchor.href = fileUrl(file);
  anchor.download = file.file_name;
  return anchor;
}

const seconds = (total) => `${Math.floor(total / 60)}:${String(total % 60).padStart(2, "0")}`;

// The bars are no picture of the sound: they only differ from one file to the next.
function soundCard(file) {
  const play = element("button", "play");
  play.type = "button";
  play.dataset.play = fileUrl(file);
  play.setAttribute("aria-label", word("play"));
  const bars = [...file.file_id.slice(-32)].map((letter) => {
    const bar = element("i", "");
    bar.style.height = `${4 + (letter.charCodeAt(0) * 7) % 17}px`;
    return bar;
  });
  const top = file.kind === "voice" ? element("span", "bars", ...bars) : element("b", "", file.file_name ?? word("audio"));
  return element("div", "sound", play, element("span", "names", top, element("small", "", seconds(file.duration))));
}

function reactions(message, viewer) {
  if (!message.reactions.length) return [];
  const pills = message.reactions.map(({ emoji, user_ids: users }) => {
    const node = element("button", "reaction", emoji, ...(users.length > 1 ? [` ${users.length}`] : []));
    if (users.includes(viewer)) node.classList.add("chosen");
    node.type = "button";
    node.dataset.react = emoji;
    return node;
  });
  return [element("div", "reactions", ...pills)];
}

function meta(message, { sounds, viewer }) {
  const node = element("span", "meta");
  if (message.from_bot && (message.silent || sounds)) {
    const bell = element("span", "bell", message.silent ? "🔕" : "🔔");
    bell.title = word(message.silent ? "silently" : "rings");
    node.append(bell);
  }
  if (message.edits) node.append(`${word("edited")} `);
  node.append(clock(message.date));
  if (side(message, viewer) === "mine") node.append(element("span", "ticks", "✓✓"));
  return node;
}

function keyboard(message) {
  const rows = message.buttons.map((row) => element("div", "row", ...row.map(key)));
  return element("div", "keyboard", ...rows);
}

function key(button) {
  const className = `key ${button.style ?? ""}`.trim();
  if (button.url) {
    const anchor = link(button.url, button.text);
    anchor.className = `${className} outward`;
    return anchor;
  }
  const node = element("button", className, button.text);
  node.type = "button";
  if (button.copy_text) {
    node.classList.add("copies");
    node.dataset.copy = button.copy_text.text;
  } else {
    node.dataset.press = button.callback_data ?? "";
  }
  return node;
}

export function draftBubble(draft, opened) {
  const shown = draft.rich ? [rich(draft.rich, opened)]
    : [element("div", "text", ...(draft.text ? formatted(draft.text, draft.entities, opened) : [element("em", "thinking", word("thinking"))]))];
  const nodes = [element("div", "bubble draft", ...shown)];
  if (draft.can_stop) {
    const stop = element("button", "key stop", `⏹ ${word("stop")}`);
    stop.type = "button";
    stop.id = "stop";
    nodes.push(element("div", "keyboard", element("div", "row", stop)));
  }
  return element("div", "drafted", ...nodes);
}
