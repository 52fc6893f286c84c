// MZSR on a picture of the reader's, in the page: which picture, which blur, ten updates, and a divider to compare.

import * as imaging from "./imaging.js";
import { KERNEL, control, draw, load, make, planesOf } from "./controls.js";

const SIDE = 96; // px of the low-resolution picture, at most
const LEAST = 32;
const SHOWN = [0, 1, 3, 10];
const OWN = "a picture of yours", GAUSSIAN = "a Gaussian of your own";
const gaussian = (lambda1, lambda2, theta) => imaging.gaussianKernel(lambda1, lambda2, theta, 15);
// The settings of the paper: kernel and sampling.
const CAMERAS = {
  "g2.0d": [gaussian(2, 2, 0), "direct"],
  "g0.2d": [gaussian(0.2, 0.2, 0), "direct"],
  "gani_d": [gaussian(4, 1, -0.5), "direct"],
  "g1.3b": [gaussian(1.3, 1.3, 0), "bicubic"],
  bicubic: [imaging.plane(1, 1, Float64Array.of(1)), "bicubic"],
};

const cut = (picture, top, left, height, width) => picture.map((channel) => {
  const part = imaging.plane(height, width);
  for (let i = 0; i < height; i++) {
    const from = (top + i) * channel.width + left;
    part.data.set(channel.data.subarray(from, from + width), i * width);
  }
  return part;
});

/** Read a file of the reader's as planes, on white where it is transparent. */
async function opened(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) throw new Error(`${file.name} is no picture that this browser can read: take a PNG or JPEG file.`);
  if (Math.min(bitmap.width, bitmap.height) < LEAST) {
    throw new Error(`${file.name} has ${bitmap.width} x ${bitmap.height} px: at least ${LEAST} px a side are needed.`);
  }
  const canvas = make("canvas", { width: bitmap.width, height: bitmap.height }), context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  return canvas;
}

/** The square that is enlarged, to be moved over a small view of the whole picture. */
function piece(changed) {
  const view = make("canvas", { role: "img", "aria-label": "your picture, with the square that is enlarged" });
  const [across, down] = ["across", "down"].map((label) =>
    control(label, { label: `square, ${label} (%)`, hint: "where the square lies", min: 0, max: 100, step: 1, digits: 0 }, 50, () => show(true)));
  const place = make("div", { class: "mzsr-piece", hidden: "" }, view, across.row, down.row);
  let whole = null, at = [0, 0, 0, 0];

  function show(moved) {
    const { width, height } = whole, [w, h] = [width, height].map((side) => Math.min(SIDE, side - (side % 2)));
    at = [Math.round((down.input.value / 100) * (height - h)), Math.round((across.input.value / 100) * (width - w)), h, w];
    const small = Math.min(1, 280 / Math.max(width, height));
    [view.width, view.height] = [Math.max(1, Math.round(width * small)), Math.max(1, Math.round(height * small))];
    const context = view.getContext("2d");
    context.drawImage(whole, 0, 0, view.width, view.height);
    for (const [colour, line] of [["#222", 4], ["#ffd400", 2]]) {
      [context.strokeStyle, context.lineWidth] = [colour, line];
      context.strokeRect(at[1] * small + 1, at[0] * small + 1, Math.max(w * small - 2, 2), Math.max(h * small - 2, 2));
    }
    if (moved) changed();
  }

  return {
    place,
    take(canvas) { whole = canvas; show(false); },
    get ready() { return whole !== null; },
    picture() {
      const [top, left, height, width] = at;
      return planesOf(whole.getContext("2d").getImageData(left, top, width, height));
    },
    words: () => `${at[3]} x ${at[2]} px of ${whole.width} x ${whole.height}`,
  };
}

/** Two pictures of one size on each other, and a divider that says how far the left one is seen; above, what is `chosen`. */
function comparison(chosen) {
  const [left, right] = ["left", "right"].map((side) => make("canvas", { role: "img", class: `mzsr-${side}` }));
  const divider = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "divider between bicubic and MZSR" });
  const frame = make("div", { class: "mzsr-frame" }, right, left, divider);
  const captions = make("div", { class: "mzsr-captions" }, make("span"), make("span"));
  divider.addEventListener("input", () => frame.style.setProperty("--part", `${divider.value}%`));
  return {
    place: make("div", { class: "mzsr-comparison", hidden: "" }, chosen, frame, captions),
    show(pictures, words) {
      [left, right].forEach((canvas, i) => {
        draw(canvas, pictures[i]);
        canvas.setAttribute("aria-label", words[i]);
        captions.children[i].textContent = words[i];
      });
      frame.style.setProperty("--size", `${pictures[0][0].width}`);
    },
  };
}

function start(place) {
  const samples = JSON.parse(place.dataset.pictures), worker = new Worker(new URL("./mzsr-worker.js", import.meta.url), { type: "module" });
  const status = make("p", { role: "status", class: "live-status" });
  const bar = make("progress", { max: Math.max(...SHOWN), value: 0, "aria-label": "updates taken", hidden: "" });
  const go = make("button", { type: "button" }, "Take ten updates");
  const file = make("input", { type: "file", accept: "image/*", "aria-label": "a picture of yours" });
  const own = piece(() => stale());
  let results = null;

  const choices = {
    picture: { label: "picture", options: [...Object.keys(samples), OWN] },
    camera: { label: "blurred by", options: Object.keys(CAMERAS) },
    told: { label: "MZSR is told", options: [...Object.keys(CAMERAS), GAUSSIAN] },
    updates: { label: "show after", options: SHOWN.map((n) => `${n} update${n === 1 ? "" : "s"}`) },
  };
  const inputs = {};
  for (const [name, description] of Object.entries(choices)) {
    inputs[name] = control(name, description, description.options.at(name === "updates" ? -1 : 0), () => changed(name));
  }
  for (const name of ["lambda1", "lambda2", "theta"]) inputs[name] = control(name, KERNEL[name], name === "theta" ? 0 : 2, () => changed(name));
  const compare = comparison(inputs.updates.row), value = (name) => inputs[name].input.value;
  const mine = () => value("picture") === OWN;

  /** What is shown no longer belongs to what is chosen. */
  function stale() {
    if (results) status.textContent = "Changed: take the updates again.";
  }

  function changed(name) {
    if (name === "updates") return show();
    // A new camera is first told truly; to tell a lie is the reader's choice.
    if (name === "camera") inputs.told.input.value = value("camera");
    if (name === "lambda1" && Number(value("lambda2")) > Number(value("lambda1"))) inputs.lambda2.input.value = value("lambda1");
    if (name === "lambda2" && Number(value("lambda2")) > Number(value("lambda1"))) inputs.lambda1.input.value = value("lambda2");
    for (const each of ["lambda1", "lambda2"]) inputs[each].input.dispatchEvent(new Event("shown"));
    arrange();
    stale();
  }

  function arrange() {
    inputs.camera.row.hidden = mine();
    file.hidden = !mine();
    own.place.hidden = !(mine() && own.ready);
    for (const name of ["lambda1", "lambda2", "theta"]) inputs[name].row.hidden = value("told") !== GAUSSIAN;
  }

  file.addEventListener("change", async () => {
    try {
      if (!file.files.length) return;
      own.take(await opened(file.files[0]));
      status.textContent = "MZSR will enlarge the square. Nothing leaves this page.";
      arrange();
    } catch (error) {
      status.textContent = error.message;
    }
  });

  const told = () => value("told") === GAUSSIAN ? [gaussian(...["lambda1", "lambda2", "theta"].map((name) => Number(value(name)))), "direct"] : CAMERAS[value("told")];
  const words = (sr, hr) => (hr ? `, ${imaging.protocolPsnr(sr, hr).toFixed(2)} dB` : "");

  function show() {
    if (!results?.pictures.size) return;
    const wanted = parseInt(value("updates"), 10), found = Math.max(...[...results.pictures.keys()].filter((n) => n <= wanted));
    const sr = results.pictures.get(found), { bicubic, hr } = results;
    compare.show([bicubic, sr], [`bicubic${words(bicubic, hr)}`, `MZSR, ${found} update${found === 1 ? "" : "s"}${words(sr, hr)}`]);
    compare.place.hidden = false;
  }

  go.addEventListener("click", async () => {
    if (mine() && !own.ready) {
      status.textContent = "Choose a picture first.";
      file.focus();
      return;
    }
    go.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    status.textContent = "Loading the network (16 MB, once) ...";
    delete place.dataset.done;
    const [kernel, mode] = told();
    const hr = mine() ? null : await load(samples[value("picture")]);
    const lr = mine() ? own.picture() : imaging.degrade(hr, ...CAMERAS[value("camera")]);
    results = { hr, bicubic: lr.map(imaging.upscale), pictures: new Map(), size: mine() ? own.words() : null };
    worker.postMessage({ lr, kernel, mode, shown: SHOWN });
  });

  worker.onmessage = ({ data }) => {
    if (data.kind === "ready") status.textContent = "Learning from this picture ...";
    if (data.kind === "update") {
      bar.value = data.taken;
      status.textContent = `Update ${data.taken} of ${bar.max}: it was off by ${(255 * data.loss).toFixed(2)} grey levels before it.`;
    }
    if (data.kind === "picture") {
      results.pictures.set(data.taken, data.picture);
      show();
    }
    if (data.kind === "done") {
      const what = results.size ? `${results.size}, enlarged. ` : "";
      status.textContent = `${what}Move the divider: bicubic on its left, MZSR on its right.`;
      place.dataset.done = "yes";
    }
    if (data.kind === "failed") status.textContent = `It did not work: ${data.reason}`;
    if (data.kind === "done" || data.kind === "failed") {
      go.disabled = false;
      bar.hidden = true;
    }
  };
  worker.onerror = () => {
    status.textContent = "This browser cannot run the network: it needs module workers and WebAssembly.";
    go.disabled = true;
  };

  const row = (name) => inputs[name].row;
  place.append(
    make("div", { class: "live-controls" }, row("picture"), row("camera"), row("told"), row("lambda1"), row("lambda2"), row("theta")),
    file, own.place, make("div", { class: "mzsr-go" }, go, bar), status, compare.place,
  );
  arrange();
  place.dataset.ready = "yes";
}

document.querySelectorAll(".mzsr-live").forEach(start);
