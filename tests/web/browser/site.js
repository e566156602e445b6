// A web server for the tests: folders under names, with or without the headers that isolate a page.

import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

const TYPES = { ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/**
 * @param {Record<string, string>} folders by the prefix of their address, the longest first
 * @param {{isolated?: boolean, files?: Record<string, Uint8Array>, before?: Record<string, string>, t?: import("node:test").TestContext}} [how]
 *   files: by their address; before: what is put before a file's text; t: the test that it ends with, however that ends
 */
export async function serve(folders, { isolated = false, files = {}, before = {}, t } = {}) {
  const site = { requests: [], offline: false };
  const headers = (path, size) => ({
    "content-type": TYPES[extname(path)] ?? "application/octet-stream", "content-length": size, etag: `"${size}"`, ...(isolated && ISOLATED),
  });
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    site.requests.push(path);
    const prefix = Object.keys(folders).find((prefix) => path.startsWith(prefix));
    if (files[path] && !site.offline) return response.writeHead(200, headers(path, files[path].length)).end(files[path]);
    let file = prefix && join(root, folders[prefix], path.slice(prefix.length) || "index.html");
    if (!file || (site.offline && path.includes("/models/"))) return response.writeHead(404).end();
    let size;
    try {
      if (statSync(file).isDirectory()) file = join(file, "index.html");
      size = statSync(file).size;
    } catch {
      return response.writeHead(404).end();
    }
    if (before[path]) {
      const text = before[path] + readFileSync(file, "utf8");
      return response.writeHead(200, headers(file, Buffer.byteLength(text))).end(text);
    }
    response.writeHead(200, headers(file, size));
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  t?.after(close);
  return Object.assign(site, { url: `http://127.0.0.1:${server.address().port}/`, close });
}
