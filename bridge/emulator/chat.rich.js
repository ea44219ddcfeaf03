// Rich messages as DOM nodes: the blocks of the Bot API, formulas as their text.

import { element, link, codeBlock, localTime, spoiler } from "/chat.text.js";

const MARKS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", marked: "mark",
  subscript: "sub", superscript: "sup",
};

export function rich(message, opened) {
  const body = element("div", "text rich", ...message.blocks.map((block, i) => one(block, `${i}`, opened)));
  if (message.is_rtl) body.dir = "rtl";
  return body;
}

const all = (blocks, key, opened) => blocks.map((block, i) => one(block, `${key}.${i}`, opened));

function one(block, key, opened) {
  switch (block.type) {
    case "heading": return element(`h${block.size}`, "", ...line(block.text));
    case "pre": return codeBlock(plain(block.text), block.language);
    case "footer": return element("footer", "", ...line(block.text));
    case "divider": return element("hr", "");
    case "mathematical_expression": return element("div", "formula", block.expression);
    case "anchor": return element("span", "");
    case "list": return list(block, key, opened);
    case "blockquote": return quote(all(block.blocks, key, opened), block.credit);
    case "expandable_blockquote": return quote(line(block.text), block.credit);
    case "pullquote": return element("aside", "", ...line(block.text));
    case "details": return details(block, key, opened);
    case "table": return table(block);
    case "thinking": return element("em", "thinking", ...line(block.text));
    default: return element("p", "", ...line(block.text ?? ""));
  }
}

function line(text) {
  if (typeof text === "string") return [document.createTextNode(text)];
  if (Array.isArray(text)) return text.flatMap(line);
  const inside = () => line(text.text ?? "");
  switch (text.type) {
    case "url": return [link(text.url, ...inside())];
    case "mathematical_expression": return [element("span", "formula", text.expression)];
    case "date_time": return [localTime(text.unix_time, plain(text.text), text.date_time_format)];
    case "spoiler": return [spoiler(inside())];
    default: return [element(MARKS[text.type] ?? "span", "", ...inside())];
  }
}

function plain(text) {
  if (typeof text === "string") return text;
  return Array.isArray(text) ? text.map(plain).join("") : plain(text.text ?? "");
}

export const words = (message) => message.blocks.map((block) => plain(block.text ?? block.summary ?? "")).join(" ");

function list(block, key, opened) {
  const items = block.items.map((item, i) =>
    element("div", "item", element("span", "label", item.label ?? "•"), element("div", "", ...all(item.blocks, `${key}.${i}`, opened))));
  return element("div", "list", ...items);
}

function quote(inside, credit) {
  const node = element("blockquote", "", ...inside);
  if (credit) node.append(element("cite", "", ...line(credit)));
  return node;
}

function details(block, key, opened) {
  const node = element("details", "", element("summary", "", ...line(block.summary)), ...all(block.blocks, key, opened));
  node.open = opened.has(key) || Boolean(block.is_open);
  node.addEventListener("toggle", () => (node.open ? opened.add(key) : opened.delete(key)));
  return node;
}

function table(block) {
  const rows = block.cells.map((cells) => element("tr", "", ...cells.map(cell)));
  const className = ["bordered", "striped", "compact"].filter((name) => block[`is_${name}`]).join(" ");
  const node = element("table", className, ...rows);
  if (block.caption) node.prepend(element("caption", "", ...line(block.caption)));
  return element("div", "wide", node);
}

function cell(given) {
  const node = element(given.is_header ? "th" : "td", given.align ?? "left", ...line(given.text ?? ""));
  node.colSpan = given.colspan ?? 1;
  node.rowSpan = given.rowspan ?? 1;
  return node;
}
