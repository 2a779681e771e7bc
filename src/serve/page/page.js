"use strict";
// Sends a picture, or a drawing, to this server and shows its answer. Nothing else is asked and nothing is kept.

const $ = (id) => document.getElementById(id);
/** Classes that are shown, the most probable first. */
const SHOWN = 10;
/** What the server's words for strange pictures mean. */
const UNLIKE = {
  inverted: "its negative would look like them (light and dark are exchanged)",
  scaled: "its values are on another scale",
  darker: "it is darker, or has less contrast",
  brighter: "it is brighter",
  noisy: "it has more fine detail, or noise",
  other: "it seems to show something else",
};

let models = [];
let token = "";
/** The last picture, so that another model can be asked about it. */
let last = null;
/** Counts requests: only the answer to the last one is shown. */
let asked = 0;

const model = () => models.find((one) => one.name === $("model").value) || models[0];

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  let message = "the server answered " + response.status;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // a proxy's answer, say: its number is all there is to tell
  }
  throw Object.assign(new Error(message), { status: response.status });
}

async function begin() {
  try {
    models = (await ask("v1/models")).models;
  } catch (error) {
    $("token-form").hidden = error.status !== 401;
    $("about").textContent = error.status === 401 ? "" : "The server cannot be asked: " + error.message;
    if (error.status === 401) {
      if (token) $("about").textContent = "That is not the token.";
      $("token").focus();
    }
    return;
  }
  $("token-form").hidden = true;
  $("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  $("model-choice").hidden = models.length < 2;
  describe();
}

function describe() {
  const { name, labels, input } = model();
  $("title").textContent = name;
  document.title = name + ": predict a picture";
  const kind = input.channels === 1 ? "grey" : "colour";
  const classes = labels.length > 12 ? labels.length + " classes" : labels.join(", ");
  $("about").textContent = `It looks at ${kind} pictures of ${input.width}×${input.height} pixels and tells apart: ${classes}.`;
  $("drawing").hidden = !(input.channels === 1 && input.width === 28 && input.height === 28);
}

/** Asks about `blob`, and shows it unless it is drawn anyway. */
async function predict(blob, isDrawn) {
  last = { blob, isDrawn };
  const own = ++asked;
  if (isDrawn) hide();
  else show(blob);
  $("drawn-as").textContent = "";
  const { name, labels } = model();
  const path = `v1/predict?model=${encodeURIComponent(name)}&top=${Math.min(SHOWN, labels.length)}`;
  const slow = setTimeout(() => own === asked && say([element("p", "muted", "Asking the model …")]), 300);
  try {
    const { predictions } = await ask(path, { method: "POST", body: blob, headers: { "Content-Type": blob.type || "application/octet-stream" } });
    if (own !== asked) return;
    say(answer(predictions[0], labels.length));
    // on a phone the answer lies below the drawing
    if (isDrawn) $("drawn-as").textContent = "→ " + heading(predictions[0]);
  } catch (error) {
    if (own !== asked) return;
    say([element("p", "warning", "No answer: " + error.message)]);
    if (error.status === 401) begin();
  } finally {
    clearTimeout(slow);
  }
}

function say(elements) {
  $("answer").replaceChildren(...elements);
}

function percent(share) {
  const text = (100 * share).toFixed(1);
  if (text === "100.0" && share < 1) return "> 99.9 %";
  return text === "0.0" && share > 0 ? "< 0.1 %" : text + " %";
}

function heading(prediction) {
  return prediction.label === null ? "Not sure enough to say" : prediction.label;
}

function answer(prediction, numClasses) {
  const parts = [element("p", "said", heading(prediction))];
  for (const kind of prediction.unlike || []) {
    parts.push(element("p", "warning", "Unlike the pictures that the model was trained on: " + (UNLIKE[kind] || kind) + ". Do not trust the answer."));
  }
  const list = element("ol", "classes");
  for (const { label, probability } of prediction.top) {
    const item = element("li");
    const track = element("span", "track");
    const bar = element("span", "bar");
    bar.style.width = 100 * probability + "%";
    track.append(bar);
    track.setAttribute("aria-hidden", "true");
    item.append(element("span", "name", label), element("span", "value", percent(probability)), track);
    list.append(item);
  }
  parts.push(list);
  if (numClasses > prediction.top.length) {
    parts.push(element("p", "muted", `The ${prediction.top.length} most probable of ${numClasses} classes.`));
  }
  return parts;
}

function hide() {
  $("preview").hidden = true;
  $("drop-hint").textContent = "Drop a picture here, paste one, or";
}

let shownUrl = "";
function show(blob) {
  URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(blob);
  const preview = $("preview");
  preview.onload = () => preview.classList.toggle("small", Math.max(preview.naturalWidth, preview.naturalHeight) < 128);
  // kinds that the server reads and the browser does not: TIFF, PNM
  preview.onerror = () => { preview.hidden = true; };
  preview.src = shownUrl;
  preview.alt = blob.name ? "your picture " + blob.name : "your picture";
  preview.hidden = false;
  $("drop-hint").textContent = "Drop another picture, paste one, or";
}

function take(files) {
  const file = [...(files || [])].find((one) => one.type.startsWith("image/") || one.type === "");
  if (file && models.length) predict(file, false);
  else if (files && files.length) say([element("p", "warning", "That is no picture.")]);
}

/* Drawing: white on black, in the middle as in MNIST. */
const canvas = $("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
/** The width of a stroke: 2 of 28 pixels, as in MNIST. */
const STROKE = 22;
/** How far an arrow key moves. */
const KEY_STEP = 10;
/** The longer side of a digit in MNIST's pictures, which are 28 pixels wide. */
const DIGIT = 20, SIDE = 28;
let strokes = [];
let at = null;
const keyboard = { x: 140, y: 140, isDown: false };

function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
}

function redraw(marks = true) {
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  trace(pen);
  if (marks && document.activeElement === canvas && canvas.matches(":focus-visible")) {
    pen.strokeStyle = keyboard.isDown ? "#f0894a" : "#56b4e9";
    pen.lineWidth = 2;
    pen.strokeRect(keyboard.x - 11, keyboard.y - 11, 22, 22);
  }
}

function trace(context) {
  context.strokeStyle = "#fff";
  context.lineWidth = STROKE;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0].x, stroke[0].y);
    for (const { x, y } of stroke) context.lineTo(x, y);
    context.stroke();
  }
}

function clearDrawing() {
  strokes = [];
  redraw();
  $("drawn-as").textContent = "";
  // an answer that comes now is about what is gone
  asked++;
  say([element("p", "muted", "Nothing yet: give it a picture.")]);
}

/** The drawing as MNIST has digits: 20 pixels long, its centre of mass in the middle of 28×28. */
function normalized() {
  redraw(false);
  const { data, width, height } = pen.getImageData(0, 0, canvas.width, canvas.height);
  redraw();
  let [left, top, right, bottom, mass, mx, my] = [width, height, -1, -1, 0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = data[4 * (y * width + x)];
      if (value === 0) continue;
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
      mass += value;
      mx += value * (x + 0.5);
      my += value * (y + 0.5);
    }
  }
  if (mass === 0) return null;
  const scale = DIGIT / (Math.max(right - left, bottom - top) + 1);
  // drawn on a grid four times as fine and averaged, so that edges are grey
  const fine = 4;
  const large = new OffscreenCanvas(SIDE * fine, SIDE * fine).getContext("2d");
  large.fillStyle = "#000";
  large.fillRect(0, 0, SIDE * fine, SIDE * fine);
  const k = scale * fine;
  large.setTransform(k, 0, 0, k, SIDE * fine / 2 - (mx / mass) * k, SIDE * fine / 2 - (my / mass) * k);
  trace(large);
  const pixels = large.getImageData(0, 0, SIDE * fine, SIDE * fine).data;
  const small = new OffscreenCanvas(SIDE, SIDE);
  const image = new ImageData(SIDE, SIDE);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      let sum = 0;
      for (let j = 0; j < fine; j++) for (let i = 0; i < fine; i++) sum += pixels[4 * ((y * fine + j) * SIDE * fine + x * fine + i)];
      const value = Math.round(sum / (fine * fine));
      image.data.set([value, value, value, 255], 4 * (y * SIDE + x));
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  return small.convertToBlob({ type: "image/png" });
}

async function predictDrawing() {
  const blob = await normalized();
  if (blob && models.length) predict(blob, true);
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  at = place(event);
  strokes.push([at]);
  redraw();
  event.preventDefault();
});
canvas.addEventListener("pointermove", (event) => {
  if (!at) return;
  for (const one of event.getCoalescedEvents ? event.getCoalescedEvents() : [event]) strokes.at(-1).push(place(one));
  redraw();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (!at) return;
    at = null;
    predictDrawing();
  });
}
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (step) {
    keyboard.x = Math.min(canvas.width, Math.max(0, keyboard.x + step[0] * KEY_STEP));
    keyboard.y = Math.min(canvas.height, Math.max(0, keyboard.y + step[1] * KEY_STEP));
    if (keyboard.isDown) strokes.at(-1).push({ x: keyboard.x, y: keyboard.y });
  } else if (event.key === " ") {
    keyboard.isDown = !keyboard.isDown;
    if (keyboard.isDown) strokes.push([{ x: keyboard.x, y: keyboard.y }]);
    else predictDrawing();
  } else if (event.key === "Delete" || event.key === "Backspace") {
    keyboard.isDown = false;
    clearDrawing();
  } else {
    return;
  }
  event.preventDefault();
  redraw();
});
canvas.addEventListener("focus", () => redraw());
canvas.addEventListener("blur", () => {
  keyboard.isDown = false;
  redraw();
});
$("clear").addEventListener("click", clearDrawing);

/* Files, the clipboard, the camera. */
for (const [button, input] of [["choose", "file"], ["photograph", "camera"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    take($(input).files);
    // the same file again is a new choice
    $(input).value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget || $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
$("model").addEventListener("change", () => {
  describe();
  if (last && (!last.isDrawn || !$("drawing").hidden)) predict(last.blob, last.isDrawn);
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  begin();
});

redraw();
begin();
