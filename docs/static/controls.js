// What everything live on the pages is made of: elements, labelled sliders and choices, pictures in and out.

import * as imaging from "./imaging.js";

export const LARGEST_KERNEL = 21;
export const KERNEL = {
  lambda1: { label: "lambda1 (px²)", hint: "variance along the axis", min: 0.2, max: 8, step: 0.1, digits: 1 },
  lambda2: { label: "lambda2 (px²)", hint: "variance across it", min: 0.2, max: 8, step: 0.1, digits: 1 },
  theta: { label: "theta (rad)", hint: "angle of the long axis, from x, y down", min: 0, max: 3.15, step: 0.05, digits: 2 },
  size: { label: "kernel side (px)", hint: "width and height", min: 3, max: LARGEST_KERNEL, step: 2, digits: 0 },
};
/** An element with attributes, and children or a text. */
export function make(name, attributes = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

/**
 * A labelled slider or choice; `moved` is told its name whenever a reader changes it.
 *
 * A slider goes over a range, or over the places of a list of values. `read` and `set` are in what it stands for.
 */
export function control(name, description, value, moved) {
  const id = `live-${name}-${Math.random().toString(36).slice(2)}`;
  const label = make("label", { for: id }, description.label), { options, values, hint } = description;
  let input, shown = [], read = () => Number(input.value), set = (wanted) => { input.value = wanted; };
  if (options) {
    input = make("select", { id }, ...options.map((option) => make("option", { value: option }, description.words?.[option] ?? option)));
    read = () => input.value;
  } else {
    const { min, max, step, digits } = values ? { min: 0, max: values.length - 1, step: 1, digits: 0 } : description;
    input = make("input", { id, type: "range", min, max, step, title: hint });
    if (values) {
      read = () => values[Number(input.value)];
      set = (wanted) => { input.value = values.indexOf(wanted); };
    }
    const output = make("output", { for: id });
    input.addEventListener("shown", () => {
      output.textContent = read().toFixed(digits);
      if (values) input.setAttribute("aria-valuetext", output.textContent);
    });
    shown = [output];
  }
  set(value);
  input.dispatchEvent(new Event("shown"));
  input.addEventListener("input", () => moved(name));
  return { input, read, set, row: make("div", { class: "live-control" }, label, input, ...shown) };
}

/**
 * Tell `picked` where a pointer is let go or dragged on a canvas of a place: from its top left, in 0 to 1.
 *
 * Not where it is pressed: a finger that only scrolls the page presses the canvas, too, and is never let go.
 */
export function follow(place, picked) {
  const pointed = ({ target, clientX, clientY }) => {
    if (target.tagName !== "CANVAS") return;
    const { left, top, width, height } = target.getBoundingClientRect();
    picked((clientX - left) / width, (clientY - top) / height);
  };
  place.addEventListener("pointerup", pointed);
  place.addEventListener("pointermove", (event) => event.buttons && pointed(event));
}

export function draw(canvas, channels) {
  const { height, width } = channels[0], [red, green, blue] = channels;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  const byte = (value) => Math.round(Math.min(1, Math.max(0, value)) * 255);
  for (let i = 0; i < height * width; i++) {
    pixels.data.set([byte(red.data[i]), byte(green.data[i]), byte(blue.data[i]), 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

/** The planes of a picture that the page has. */
export async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return planesOf(context.getImageData(0, 0, canvas.width, canvas.height));
}

/** The planes of the pixels of a canvas. */
export function planesOf({ data, height, width }) {
  const channel = (k) => Float64Array.from({ length: height * width }, (_, i) => data[4 * i + k] / 255);
  return [0, 1, 2].map((k) => imaging.plane(height, width, channel(k)));
}

