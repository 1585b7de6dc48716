// What is changed is saved at once; what can't be is said beside the field.
"use strict";
document.documentElement.classList.add("script");
const toast = document.querySelector(".toast");
let toastEnds;

function say(text) {
  toast.textContent = text;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => { toast.textContent = ""; }, 2500);
}

function mistake(form, text) {
  if (text) toast.textContent = "";
  const row = form.closest(".row");
  const place = row && row.querySelector(".error");
  const field = form.querySelector("[name=value]:not([type=hidden])");
  if (place) place.textContent = text;
  else if (text) say(text);
  if (!field) return;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

async function send(form) {
  let answer, body;
  try {
    answer = await fetch(form.getAttribute("action"), {
      method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)),
    });
    body = await answer.json();
  } catch {
    mistake(form, document.body.dataset.lost);
    return false;
  }
  if (!answer.ok) {
    mistake(form, body.error);
    return false;
  }
  mistake(form, "");
  say(document.body.dataset.saved);
  update(body);
  return true;
}

// update shows what holds now, but for the field in which somebody writes.
function update(items) {
  for (const item of items) {
    const row = document.querySelector(`.row[data-name="${item.name}"]`);
    if (!row) continue;
    const reset = row.querySelector(".reset");
    if (reset) reset.hidden = !item.chosen;
    const field = row.querySelector("[name=value]:not([type=hidden])");
    const word = row.querySelector("[name=word]");
    if (!field || field === document.activeElement && field.type === "text" || field.getAttribute("aria-invalid")) continue;
    if (field.type === "checkbox") field.checked = item.text === "on";
    else if (word) {
      word.checked = item.text === word.value;
      field.value = word.checked ? "" : item.text;
    } else if (field.tagName === "SELECT") {
      const value = item.kind === "until" && item.text === "" ? "off" : item.text;
      if (![...field.options].some((o) => o.value === value)) field.add(new Option(item.shown, value));
      field.value = value;
    } else field.value = item.text;
  }
}

// A page that shows other lines than before is loaded anew, where one was.
function renew(at) {
  if (at) history.replaceState(null, "", at);
  location.reload();
}

const anew = (name) => name === "language" || name.startsWith("people.");

document.addEventListener("change", async (e) => {
  const form = e.target.closest("form.live");
  if (!form) return;
  const word = form.querySelector("[name=word]"), field = form.querySelector("[name=value]");
  if (word && e.target === word && !word.checked && field.value === "") {
    field.focus(); // the number comes next
    return;
  }
  if (word && e.target === field && field.value !== "") word.checked = false;
  const name = form.querySelector("[name=name]").value;
  if (await send(form) && name === "language") renew();
});

document.addEventListener("submit", async (e) => {
  e.preventDefault();
  const form = e.target, name = form.querySelector("[name=name]").value;
  if (form.matches(".live")) {
    // Enter in a field: its change has come, or there was none.
    document.activeElement.dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
  const sent = await send(form);
  if (sent && (form.matches(".add, .remove") || anew(name))) renew(form.matches(".add, .remove") ? "#g-people" : "");
  else if (sent && form.matches(".reset")) form.closest(".row").querySelector("[name=value]:not([type=hidden])").focus();
});

// Somebody may have changed something elsewhere.
addEventListener("focus", async () => {
  try {
    const answer = await fetch("items");
    if (answer.ok) update(await answer.json());
  } catch { /* it is said when something is changed */ }
});
