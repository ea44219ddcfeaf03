// What a person writes: the line at the bottom, files, replies, edits, commands, custom keys.

import { attempt, chat, here, order, react, speaker, toBottom } from "/chat.js";
import { preview } from "/chat.render.js";
import { element } from "/chat.text.js";
import { word } from "/chat.words.js";

const $ = (id) => document.getElementById(id);
const payload = new URLSearchParams(location.search).get("start");
const QUICK = ["👍", "👎", "❤", "🔥", "🎉", "🤔"];
const composing = { file: null, replyTo: null, edit: null };

async function say(text) {
  await attempt(order("send", { ...speaker(), text, reply_to: composing.replyTo }));
}

async function submit() {
  const text = $("input").value.trim();
  if (!text && !composing.file) return;
  $("input").value = "";
  grow();
  toBottom();
  if (composing.file) await upload(composing.file, text);
  else if (composing.edit) await attempt(order("edit", { chat_id: chat.id, message_id: composing.edit, text }));
  else await say(text);
  clearContext();
}

async function upload(file, caption) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...speaker(), caption })) form.append(name, String(value));
  if (/\.(ogg|oga)$/i.test(file.name)) form.append("as", "voice");
  else if (file.type.startsWith("audio/")) form.append("as", "audio");
  form.append("file", file, file.name);
  await attempt(order("upload", form));
}

function setContext(text) {
  $("context-text").textContent = text;
  $("context").hidden = false;
  $("input").focus();
}

function clearContext() {
  Object.assign(composing, { file: null, replyTo: null, edit: null });
  $("file").value = "";
  $("context").hidden = true;
  showSend();
}

function attachFile(file) {
  if (!file) return;
  clearContext();
  composing.file = file;
  setContext(`📎 ${file.name}`);
  showSend();
}

function reply(id) {
  clearContext();
  composing.replyTo = id;
  setContext(`↩ ${preview(chat.messages.get(id)) || word("message")}`);
}

function edit(id) {
  clearContext();
  composing.edit = id;
  $("input").value = chat.messages.get(id).text;
  setContext(`✏ ${word("edit")}`);
  grow();
}

function onDoubleClick(event) {
  const item = event.target.closest("li[data-id]");
  if (item && !event.target.closest("button, a")) reply(Number(item.dataset.id));
}

// What can be done with one message: the right button of a mouse, a long press of a finger.
function onContextMenu(event) {
  const item = event.target.closest("li[data-id]");
  if (!item || event.target.closest("a")) return;
  event.preventDefault();
  const id = Number(item.dataset.id);
  const act = (className, text, what) => {
    const node = element("button", className, text);
    node.type = "button";
    node.addEventListener("click", () => what());
    return node;
  };
  const quick = element("div", "quick", ...QUICK.map((emoji) => act("", emoji, () => react(id, emoji))));
  const message = chat.messages.get(id);
  const mine = message.user_id === chat.user && message.text && !message.forwarded_from;
  $("choices").replaceChildren(quick, act("wide", word("reply"), () => reply(id)), ...(mine ? [act("wide", word("edit"), () => edit(id))] : []));
  $("choices").hidden = false;
  const box = $("phone").getBoundingClientRect();
  $("choices").style.left = `${Math.min(event.clientX - box.left, box.width - $("choices").offsetWidth - 8)}px`;
  $("choices").style.top = `${Math.min(event.clientY - box.top, box.height - $("choices").offsetHeight - 8)}px`;
}

function grow() {
  const input = $("input");
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 160)}px`;
  showSend();
  suggest(/^\/\w*$/.test(input.value) ? input.value : "");
}

function showSend() {
  const empty = !$("input").value.trim() && !composing.file;
  $("send").disabled = empty;
  $("attach").hidden = !empty;
}

function suggest(typed) {
  const found = typed ? chat.info.commands.filter((c) => `/${c.command}`.startsWith(typed)) : [];
  $("commands").replaceChildren(...found.map((c) => {
    const node = element("button", "", element("b", "", `/${c.command}`), element("span", "", c.description));
    node.type = "button";
    node.addEventListener("click", () => { $("input").value = ""; grow(); say(`/${c.command}`); });
    return element("li", "", node);
  }));
  $("commands").hidden = found.length === 0;
}

// What the bot offers below the line: its menu, and the keys of its last message.
export function offer() {
  const { commands, menu_button: button } = chat.info;
  $("menu").hidden = chat.id < 0 || (button.type !== "web_app" && commands.length === 0);
  $("menu").textContent = button.type === "web_app" ? button.text : word("menu");
  $("menu").classList.toggle("lines", button.type !== "web_app");
  const last = [...chat.messages.values()].reverse().find((message) => message.from_bot && message.keyboard && here(message.thread_id));
  const keys = last?.keyboard.keyboard ?? [];
  $("letters").replaceChildren(...keys.map((row) => element("div", "row", ...row.map(letter))));
  $("letters").hidden = keys.length === 0;
  $("input").placeholder = last?.keyboard.input_field_placeholder || word("message");
  if (last?.keyboard.force_reply && composing.replyTo === null && last === [...chat.messages.values()].at(-1)) reply(last.message_id);
}

function letter(key) {
  const node = element("button", `letter ${key.style ?? ""}`.trim(), key.text);
  node.type = "button";
  node.addEventListener("click", () => say(key.text));
  return node;
}

export function compose() {
  $("send").setAttribute("aria-label", word("send"));
  $("attach").setAttribute("aria-label", word("attach"));
  $("context-clear").setAttribute("aria-label", word("remove"));
  $("down").setAttribute("aria-label", word("down"));
  $("input").setAttribute("aria-label", word("message"));
  $("input").placeholder = word("message");
  $("start").textContent = word("start");
  $("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("input").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  $("input").addEventListener("input", grow);
  $("input").addEventListener("paste", (event) => attachFile(event.clipboardData.files[0]));
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => attachFile($("file").files[0]));
  $("context-clear").addEventListener("click", clearContext);
  $("menu").addEventListener("click", () => suggest($("commands").hidden ? "/" : ""));
  $("start").addEventListener("click", () => say(payload ? `/start ${payload}` : "/start"));
  $("log").addEventListener("dblclick", onDoubleClick);
  $("log").addEventListener("contextmenu", onContextMenu);
  document.addEventListener("click", () => ($("choices").hidden = true));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); attachFile(event.dataTransfer.files[0]); });
  showSend();
}
