#!/usr/bin/env node
// Serves the page: `node www/serve.mjs [PORT]`. Any static server will do; this one sends the headers that threads need.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8", ".json": "application/json", ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm", ".svg": "image/svg+xml", ".png": "image/png", ".flac": "audio/flac", ".wav": "audio/wav",
};

const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/**
 * @param {{root?: string, mounts?: Record<string, string>, headers?: Record<string, string>, onRequest?: (path: string) => void}} options
 *   `mounts`: folders that stand in for others, by the beginning of the path
 */
export function server({ root = fileURLToPath(new URL(".", import.meta.url)), mounts = {}, headers = ISOLATION, onRequest } = {}) {
  return createServer(async (request, response) => {
    const end = (status, words) => response.writeHead(status, headers).end(words);
    if (request.method !== "GET" && request.method !== "HEAD") return end(405, "only GET\n");
    let path;
    try {
      path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    } catch {
      return end(400, "not a path\n");
    }
    onRequest?.(path);
    if (path.endsWith("/")) path += "index.html";
    const mount = Object.keys(mounts).find((prefix) => path.startsWith(prefix));
    const base = mount ? mounts[mount] : root;
    const file = normalize(join(base, mount ? path.slice(mount.length) : path));
    if (path.includes("\0") || !file.startsWith(normalize(base + sep))) return end(404, "not here\n");
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return end(404, "not here\n");
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      "Content-Length": info.size,
      "Cache-Control": "no-cache",
      "X-Content-Type-Options": "nosniff",
      ...headers,
    });
    if (request.method === "HEAD") return response.end();
    pipeline(createReadStream(file), response, () => {});
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.argv[2] ?? 8000);
  server().listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}/`));
}
