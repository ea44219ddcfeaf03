// Text as DOM nodes. Nothing here reads or writes HTML: what a bot sends stays text.

import { moment, word } from "/chat.words.js";

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
    case "date_time": return localTime(entity.unix_time, shown, entity.date_time_format);
    case "expandable_blockquote": return expandable(children(), `${offset}`, opened);
    default: return element(TAGS[type] ?? "span", "", ...children());
  }
}

export function codeBlock(text, language) {
  const copy = element("button", "copy", word("copy"));
  copy.type = "button";
  copy.dataset.copy = text;
  const bar = element("div", "bar", element("span", "", language || word("code")), copy);
  return element("div", "code-block", bar, element("pre", "", element("code", "", text)));
}

export function spoiler(children) {
  const node = element("span", "spoiler", ...children);
  node.tabIndex = 0;
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", word("hidden"));
  return node;
}

function command(text) {
  const node = element("button", "mark", text);
  node.type = "button";
  node.dataset.say = text;
  return node;
}

// Without a format a client shows the text; with one the time where the reader is.
export function localTime(seconds, shown, format) {
  const node = element("time", "mark", format ? moment(seconds, format) : shown);
  node.dateTime = new Date(seconds * 1000).toISOString();
  node.title = format ? shown : moment(seconds, "wDt");
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
