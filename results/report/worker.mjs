// Classifies photographs beside the page, which stays responsive.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // several need headers that a static host may not send
const loaded = ort.InferenceSession.create("{{ network }}");
loaded.catch(() => {}); // each photograph says so
let turn = Promise.resolve();

async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => { throw new Error("This browser can't read the file as a picture."); });
  const { width, height } = bitmap, canvas = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
  canvas.fillStyle = "white"; // behind transparent pictures, as in training
  canvas.fillRect(0, 0, width, height);
  canvas.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = canvas.getImageData(0, 0, width, height).data, rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) { rgb[to++] = rgba[from]; rgb[to++] = rgba[from + 1]; rgb[to++] = rgba[from + 2]; }
  return new ort.Tensor("uint8", rgb, [1, height, width, 3]);
}

async function answer({ number, file }) {
  try {
    const session = await loaded.catch(error => { throw new Error(`The classifier can't be loaded: ${error.message}`); });
    const { probabilities } = await session.run({ images: await pixelsOf(file) });
    postMessage({ number, probabilities: await probabilities.getData() });
  } catch (error) {
    postMessage({ number, error: error.message });
  }
}

onmessage = ({ data }) => { turn = turn.then(() => answer(data)); };
