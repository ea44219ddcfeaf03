// Text and messages as DOM nodes. Nothing here reads or writes HTML: what a bot sends stays text.

const TAGS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};
const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);
const SAFE_LINK = /^(https?|tg|mailto):/i;

export function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

export function link(href, ...children) {
  if (!SAFE_LINK.test(href)) return element("span", "", ...children);
  const node = element("a", "", ...children);
  node.href = href;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  return node;
}

// Offsets count UTF-16 units, which is what JavaScript strings are made of.
export function formatted(text, entities, opened) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return range(text, sorted, 0, text.length, opened);
}

function range(text, entities, start, end, opened) {
  const nodes = [];
  let at = start;
  let afterBlock = false;
  for (let i = 0; i < entities.length; i++) {
    const entity = entities[i];
    const stop = entity.offset + entity.length;
    if (entity.offset < at || stop > end) continue;
    const inner = entities.slice(i + 1).filter((e) => e.offset + e.length <= stop);
    const block = BLOCKS.has(entity.type);
    nodes.push(plain(text.slice(at, entity.offset), afterBlock, block));
    nodes.push(marked(text, entity, inner, opened));
    at = stop;
    afterBlock = block;
  }
  nodes.push(plain(text.slice(at, end), afterBlock, false));
  return nodes;
}

// A block starts and ends a line by itself, so the line break next to it is already there.
function plain(text, afterBlock, beforeBlock) {
  let shown = text;
  if (afterBlock && shown.startsWith("\n")) shown = shown.slice(1);
  if (beforeBlock && shown.endsWith("\n")) shown = shown.slice(0, -1);
  return document.createTextNode(shown);
}

function marked(text, entity, inner, opened) {
  const { type, offset } = entity;
  const shown = text.slice(offset, offset + entity.length);
  const children = () => range(text, inner, offset, offset + entity.length, opened);
  switch (type) {
    case "pre": return codeBlock(shown, entity.language);
    case "spoiler": return spoiler(children());
    case "text_link": return link(entity.url, ...children());
    case "url": return link(/^\w+:/.test(shown) ? shown : `https://${shown}`, shown);
    case "email": return link(`mailto:${shown}`, shown);
    case "bot_command": return command(shown);
    case "mention": case "hashtag": case "text_mention": return element("span", "mark", ...children());
    case "date_time": return localTime(entity.unix_time, shown);
    case "expandable_blockquote": return expandable(children(), `${offset}`, opened);
    default: return element(TAGS[type] ?? "span", "", ...children());
  }
}

function codeBlock(text, language) {
  const copy = element("button", "copy", "Copy");
  copy.type = "button";
  copy.dataset.copy = text;
  const bar = element("div", "bar", element("span", "", language || "code"), copy);
  return element("div", "code-block", bar, element("pre", "", element("code", "", text)));
}

function spoiler(children) {
  const node = element("span", "spoiler", ...children);
  node.tabIndex = 0;
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", "Hidden text");
  return node;
}

function command(text) {
  const node = element("button", "mark", text);
  node.type = "button";
  node.dataset.say = text;
  return node;
}

function localTime(seconds, shown) {
  const node = element("time", "mark", shown);
  node.dateTime = new Date(seconds * 1000).toISOString();
  node.title = new Date(seconds * 1000).toLocaleString();
  return node;
}

function expandable(children, key, opened) {
  const node = element("blockquote", "expandable", ...children);
  node.dataset.key = key;
  node.tabIndex = 0;
  node.setAttribute("role", "button");
  node.setAttribute("aria-expanded", String(opened.has(key)));
  node.classList.toggle("open", opened.has(key));
  return node;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KB", "MB"];
  const power = bytes < 1024 * 1024 ? 1 : 2;
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

// One message of the log. `original` is the replied message when it is still there.
export function bubble(message, original, opened) {
  const parts = [];
  if (message.reply_to !== null) parts.push(replyQuote(message, original));
  if (message.photo) parts.push(photo(message.photo));
  if (message.document) parts.push(documentCard(message.document));
  if (message.text) parts.push(element("div", "text", ...formatted(message.text, message.entities, opened)));
  parts.push(meta(message));
  const body = element("div", "bubble", ...parts);
  if (message.photo && !message.text) body.classList.add("bare");
  if (message.text.includes("\n") || message.buttons.length) body.classList.add("roomy");
  const item = element("li", message.from_bot ? "bot" : "mine", body);
  if (message.buttons.length) item.append(keyboard(message));
  item.dataset.id = message.message_id;
  return item;
}

function replyQuote(message, original) {
  const name = element("b", "", original ? original.name : "Message");
  const said = message.quote || (original ? preview(original) : "Deleted message");
  const node = element("button", "reply", name, element("span", "", said));
  node.type = "button";
  node.dataset.jump = message.reply_to;
  return node;
}

export function preview(message) {
  if (message.text) return message.text.slice(0, 200).replaceAll("\n", " ");
  return message.photo ? "Photo" : message.document ? message.document.file_name : "";
}

function fileUrl(file) {
  return `/emulator/file?file_id=${encodeURIComponent(file.file_id)}`;
}

function photo(file) {
  const image = element("img", "photo");
  image.src = fileUrl(file);
  image.alt = "Photo";
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

function meta(message) {
  const node = element("span", "meta");
  if (message.reaction) node.append(element("span", "reaction", message.reaction));
  if (message.from_bot && message.silent) {
    const bell = element("span", "silent");
    bell.title = "Sent without a sound";
    node.append(bell);
  }
  if (message.edits) node.append("edited ");
  node.append(clock(message.date));
  return node;
}

function keyboard(message) {
  const rows = message.buttons.map((row) => element("div", "row", ...row.map((button) => key(message, button))));
  return element("div", "keyboard", ...rows);
}

function key(message, button) {
  const className = `key ${button.style ?? ""}`.trim();
  if (button.url) {
    const anchor = link(button.url, button.text);
    anchor.className = `${className} outward`;
    return anchor;
  }
  const node = element("button", className, button.text);
  node.type = "button";
  if (button.copy_text) node.dataset.copy = button.copy_text.text;
  else node.dataset.press = button.callback_data ?? "";
  return node;
}
