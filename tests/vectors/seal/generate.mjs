// Makes blocks.txt from docs/format.md section 2, with nothing of fildrive in
// it: @noble/hashes for BLAKE2b, node's own crypto for ChaCha20-Poly1305 and
// SHA-256, and the zstd program for the compressed ones.
//
//   npm install @noble/hashes && node generate.mjs > blocks.txt
import { blake2b } from '@noble/hashes/blake2.js'
import { createCipheriv, createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'

const hex = b => Buffer.from(b).toString('hex')

function padme (n) {
  if (n < 2) return n
  const e = Math.floor(Math.log2(n))
  const s = Math.floor(Math.log2(e)) + 1
  if (e <= s) return n
  const step = 2 ** (e - s)
  return Math.ceil(n / step) * step
}

function mod251 (n) {
  const b = Buffer.alloc(n)
  for (let i = 0; i < n; i++) b[i] = i % 251
  return b
}

function seal (secret, flags, body, padded) {
  const payload = Buffer.alloc(8 + padded)
  payload[0] = 1
  payload[1] = flags
  payload.writeUInt32LE(body.length, 4)
  body.copy(payload, 8)
  const key = blake2b(payload, { key: secret, dkLen: 32 })
  const c = createCipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 })
  const block = Buffer.concat([c.update(payload), c.final(), c.getAuthTag()])
  return { key, block, digest: createHash('sha256').update(block).digest() }
}

const secrets = [Buffer.alloc(32, 0), Buffer.from(Array.from({ length: 32 }, (_, i) => i)), Buffer.alloc(32, 0xff)]
const sizes = [0, 1, 8, 255, 256, 257, 272, 300, 1000, 4096, 65535, 65537, 262144, 1048575, 1048576]

console.log('# kind secret size-of-mod251-body key digest length-of-block block-if-short-or-compressed')
for (const [i, n] of sizes.entries()) {
  const s = secrets[i % 3]
  const r = seal(s, 0, mod251(n), Math.max(256, padme(n)))
  console.log('stored', hex(s), n, hex(r.key), hex(r.digest), r.block.length, r.block.length <= 320 ? hex(r.block) : '-')
}
for (const [i, n] of [1000, 40000, 1048576].entries()) {
  const s = secrets[i]
  const frame = execFileSync('zstd', ['-q', '-19', '--no-check', '--content-size', `--stream-size=${n}`, '-c'], { input: mod251(n) })
  const r = seal(s, 1, frame, Math.max(256, padme(frame.length)))
  console.log('zstd', hex(s), n, hex(r.key), hex(r.digest), r.block.length, hex(r.block))
}
