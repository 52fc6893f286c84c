// MZSR on a picture of the reader's, in the page: which picture, which blur, ten updates, and a divider to compare.

import * as imaging from "./imaging.js";
import { KERNEL, control, draw, follow, load, make, planesOf } from "./controls.js";

const SIDE = 96; // px of the low-resolution picture, at most
const LEAST = 32;
const SHOWN = [0, 1, 3, 10];
const OWN = "a picture of yours", GAUSSIAN = "a Gaussian of your own";
const count = (n) => `${n} update${n === 1 ? "" : "s"}`;
const gaussian = (lambda1, lambda2, theta) => imaging.gaussianKernel(lambda1, lambda2, theta, 15);
// The settings of the paper: kernel, sampling, and what a reader sees of them.
const CAMERAS = {
  "g2.0d": [gaussian(2, 2, 0), "direct", "round and wide"],
  "g0.2d": [gaussian(0.2, 0.2, 0), "direct", "hardly any blur"],
  "gani_d": [gaussian(4, 1, -0.5), "direct", "long and slanted"],
  "g1.3b": [gaussian(1.3, 1.3, 0), "bicubic", "round, then bicubic"],
  bicubic: [imaging.plane(1, 1, Float64Array.of(1)), "bicubic", "no other blur"],
};
const WORDS = Object.fromEntries(Object.entries(CAMERAS).map(([name, [, , look]]) => [name, `${name}: ${look}`]));

const cut = (picture, top, left, height, width) => picture.map((channel) => {
  const part = imaging.plane(height, width);
  for (let i = 0; i < height; i++) {
    const from = (top + i) * channel.width + left;
    part.data.set(channel.data.subarray(from, from + width), i * width);
  }
  return part;
});

function transparent(values) {
  for (let i = 3; i < values.length; i += 4) if (values[i] < 255) return true;
  return false;
}

/** Read a file of the reader's: its picture, on white where it is transparent, and whether it is so anywhere. */
async function opened(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) throw new Error(`${file.name} is no picture that this browser can read: take a PNG or JPEG file.`);
  if (Math.min(bitmap.width, bitmap.height) < LEAST) {
    throw new Error(`${file.name} has ${bitmap.width} x ${bitmap.height} px: at least ${LEAST} px a side are needed.`);
  }
  const canvas = make("canvas", { width: bitmap.width, height: bitmap.height }), context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  // A JPEG has no transparency, and may have many pixels to look at.
  const clear = file.type !== "image/jpeg" && transparent(context.getImageData(0, 0, canvas.width, canvas.height).data);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return { canvas, clear };
}

/** The square that is enlarged, to be moved over a small view of the whole picture. */
function piece(changed) {
  const view = make("canvas", { role: "img", "aria-label": "your picture, with the square that is enlarged" });
  const [across, down] = ["across", "down"].map((label) =>
    control(label, { label: `${label} (%)`, hint: "where the square lies", min: 0, max: 100, step: 1, digits: 0 }, 50, () => show(true)));
  const place = make("div", { class: "mzsr-piece", hidden: "" }, view, across.row, down.row);
  let whole = null, white = "", at = [0, 0, 0, 0];
  const sides = () => [whole.width, whole.height].map((side) => Math.min(SIDE, side - (side % 2)));

  follow(place, (x, y) => {
    if (place.matches(":disabled *")) return;
    const [w, h] = sides();
    for (const [{ input }, share, all, part] of [[across, x, whole.width, w], [down, y, whole.height, h]]) {
      input.value = (100 * (share * all - part / 2)) / Math.max(1, all - part);
      input.dispatchEvent(new Event("shown"));
    }
    show(true);
  });

  function show(moved) {
    const { width, height } = whole, [w, h] = sides();
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
    take(found) {
      whole = found && found.canvas;
      white = found && found.clear ? ", on white where the picture is transparent" : "";
      if (whole) show(false);
    },
    get ready() { return whole !== null; },
    picture() {
      const [top, left, height, width] = at;
      return planesOf(whole.getContext("2d").getImageData(left, top, width, height));
    },
    words: () => `${at[3]} x ${at[2]} px of ${whole.width} x ${whole.height}${white}`,
    get white() { return white; },
    where: () => at.join(),
  };
}

/** Two pictures of one size on each other, and a divider that says how far the left one is seen; above, what is `chosen`. */
function comparison(chosen) {
  const [left, right] = ["left", "right"].map((side) => make("canvas", { role: "img", class: `mzsr-${side}` }));
  const divider = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "divider between bicubic and MZSR" });
  const frame = make("div", { class: "mzsr-frame" }, right, left, divider);
  const captions = make("div", { class: "mzsr-captions" }, make("span"), make("span"));
  divider.addEventListener("input", () => frame.style.setProperty("--part", `${divider.value}%`));
  follow(frame, (x) => {
    divider.value = 100 * x;
    divider.dispatchEvent(new Event("input"));
    divider.focus({ preventScroll: true }); // so that the arrow keys go on from there
  });
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
  const samples = JSON.parse(place.dataset.pictures);
  const status = make("p", { role: "status", class: "live-status" }, "Ten updates take ten to thirty seconds; the first time, the network (16 MB) is loaded.");
  const bar = make("progress", { max: Math.max(...SHOWN), value: 0, "aria-label": "updates taken", hidden: "" });
  const go = make("button", { type: "button" }, "Take ten updates");
  const file = make("input", { type: "file", accept: "image/*", "aria-label": "a picture of yours" });
  const own = piece(() => compared());
  let worker = null, opening = 0, spoken = "";
  let running = null, results = null; // a result is shown once it has its first picture

  const choices = {
    picture: { label: "picture", options: [...Object.keys(samples), OWN] },
    camera: { label: "blurred by", options: Object.keys(CAMERAS), words: WORDS },
    told: { label: "MZSR is told", options: [...Object.keys(CAMERAS), GAUSSIAN], words: WORDS },
    updates: { label: "show after", options: SHOWN.map(count) },
  };
  const inputs = {};
  for (const [name, description] of Object.entries(choices)) {
    inputs[name] = control(name, description, description.options[0], () => changed(name));
  }
  if ("own" in place.dataset) inputs.picture.set(OWN);
  for (const name of ["lambda1", "lambda2", "theta"]) inputs[name] = control(name, KERNEL[name], name === "theta" ? 0 : 2, () => changed(name));
  const compare = comparison(inputs.updates.row), value = (name) => inputs[name].input.value;
  const mine = () => value("picture") === OWN, row = (name) => inputs[name].row;
  // While updates are taken, or a file is read, nothing of this can be changed.
  const asked = make(
    "fieldset", { class: "mzsr-asked", "aria-label": "what is enlarged" },
    make("div", { class: "live-controls" }, row("picture"), row("camera"), row("told"), row("lambda1"), row("lambda2"), row("theta")),
    file, own.place, make("div", { class: "mzsr-go" }, go, bar),
  );

  /** What the reader has chosen, as far as it counts: results of equal choices are equal. */
  const chosen = () => JSON.stringify([
    mine() ? [opening, own.where()] : [value("picture"), value("camera")],
    ...["told", ...(value("told") === GAUSSIAN ? ["lambda1", "lambda2", "theta"] : [])].map(value),
  ]);

  /** Say something, and whether the result that is shown belongs to what is chosen; dim it if not. */
  function say(sentence = spoken) {
    spoken = sentence;
    const old = results !== null && results.chosen !== chosen();
    compare.place.classList.toggle("mzsr-old", old);
    status.textContent = old ? `${sentence} The dimmed picture below belongs to the choice before.` : sentence;
  }

  function compared() {
    const next = mine() && !own.ready ? "Choose a picture." : "Take the updates again.";
    if (results) say(results.chosen === chosen() ? results.sentence : `Changed. ${next}`);
  }

  /** Tell the truth at first, and of a picture of the reader's a narrow blur: a wide one ruins a sharp picture. */
  function tell() {
    inputs.told.input.value = mine() ? "g0.2d" : value("camera");
  }

  function changed(name) {
    if (name === "updates") return show();
    // A new camera is first told truly; to tell a lie is the reader's choice.
    if (name === "camera" || name === "picture") tell();
    if (name === "lambda1" && Number(value("lambda2")) > Number(value("lambda1"))) inputs.lambda2.input.value = value("lambda1");
    if (name === "lambda2" && Number(value("lambda2")) > Number(value("lambda1"))) inputs.lambda1.input.value = value("lambda2");
    for (const each of ["lambda1", "lambda2"]) inputs[each].input.dispatchEvent(new Event("shown"));
    arrange();
    compared();
  }

  function arrange() {
    row("camera").hidden = mine();
    file.hidden = !mine();
    own.place.hidden = !(mine() && own.ready);
    for (const name of ["lambda1", "lambda2", "theta"]) row(name).hidden = value("told") !== GAUSSIAN;
  }

  /** Let what is asked be changed again, and give a keyboard back its place, which what is disabled takes from it. */
  function released(place) {
    asked.disabled = false;
    if (document.activeElement === document.body) place.focus({ preventScroll: true });
  }

  file.addEventListener("change", async () => {
    asked.disabled = true;
    opening += 1;
    own.take(null);
    try {
      if (file.files.length) own.take(await opened(file.files[0]));
      say(own.ready ? `MZSR will enlarge the square${own.white}. Nothing leaves this page.` : "Choose a picture.");
    } catch (error) {
      say(error.message);
    }
    arrange();
    released(file);
  });

  const told = () => value("told") === GAUSSIAN ? [gaussian(...["lambda1", "lambda2", "theta"].map((name) => Number(value(name)))), "direct"] : CAMERAS[value("told")];
  const words = (sr, hr) => (hr ? `, ${imaging.protocolPsnr(sr, hr).toFixed(2)} dB` : "");

  function show() {
    const wanted = SHOWN.find((n) => count(n) === value("updates")), sr = results.pictures.get(wanted), { bicubic, hr } = results;
    compare.show([bicubic, sr], [`bicubic${words(bicubic, hr)}`, `MZSR, ${count(wanted)}${words(sr, hr)}`]);
    compare.place.hidden = false;
  }

  /** Show what was reached last, and offer that and what was before it. */
  function reached(taken, picture) {
    results = running;
    results.pictures.set(taken, picture);
    [...inputs.updates.input.options].forEach((option, i) => { option.disabled = !results.pictures.has(SHOWN[i]); });
    inputs.updates.set(count(taken));
    say();
    show();
  }

  function ended(sentence) {
    running.sentence = sentence;
    say(sentence);
    running = null;
    bar.hidden = true;
    released(go);
  }

  const HEARD = {
    ready: () => say("Learning from this picture ..."),
    update({ taken, loss }) {
      bar.value = taken;
      say(`Update ${taken} of ${bar.max}: before it, the mean error on a smaller copy was ${(255 * loss).toFixed(2)} grey levels.`);
    },
    picture: ({ taken, picture }) => reached(taken, picture),
    done() {
      ended(`${running.size ? `${running.size}, enlarged. ` : ""}Move the divider: bicubic on its left, MZSR on its right.${running.size ? " Bright rims mean that the blur you told is too wide." : ""}`);
      place.dataset.done = "yes";
    },
    failed: ({ reason }) => ended(`It did not work: ${reason}`),
  };

  function hired() {
    const found = new Worker(new URL("./mzsr-worker.js", import.meta.url), { type: "module" });
    found.onmessage = ({ data }) => HEARD[data.kind](data);
    found.onerror = () => {
      found.terminate();
      worker = null;
      ended("It did not work: the network cannot be loaded, or this browser cannot run it. It needs module workers and WebAssembly.");
    };
    return found;
  }

  go.addEventListener("click", async () => {
    if (mine() && !own.ready) {
      say("Choose a picture first.");
      file.focus();
      return;
    }
    asked.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    say(worker ? "Computing ..." : "Loading the network (16 MB, once) ...");
    delete place.dataset.done;
    running = { chosen: chosen(), pictures: new Map(), size: mine() ? own.words() : null };
    try {
      const [kernel, mode] = told();
      const hr = mine() ? null : await load(samples[value("picture")]);
      const lr = mine() ? own.picture() : imaging.degrade(hr, ...CAMERAS[value("camera")].slice(0, 2));
      Object.assign(running, { hr, bicubic: lr.map(imaging.upscale) });
      worker ??= hired();
      worker.postMessage({ lr, kernel, mode, shown: SHOWN });
    } catch (error) {
      ended(`It did not work: ${error.message}`);
    }
  });

  place.append(asked, status, compare.place);
  tell();
  arrange();
  place.dataset.ready = "yes";
}

document.querySelectorAll(".mzsr-live").forEach(start);
