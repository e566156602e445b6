// transformers.js on its wasm back end, as its own examples have it: in a worker.

import { env, pipeline } from "/transformers/transformers.min.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/onnx/";
env.useBrowserCache = false;
env.backends.onnx.wasm.wasmPaths = "/ort/";

let recognise;

onmessage = async ({ data: { audio, dtype, threads } }) => {
  try {
    if (audio) {
      const { text } = await recognise(audio, { return_timestamps: true });
      postMessage({ result: text });
    } else {
      env.backends.onnx.wasm.numThreads = threads;
      recognise = await pipeline("automatic-speech-recognition", "tiny.en", { device: "wasm", dtype });
      postMessage({ result: null });
    }
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};
