// Makes words.txt with @scure/bip39, an implementation that shares no code with
// fildrive: npm install @scure/bip39 && node generate.mjs > words.txt
import { entropyToMnemonic } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { createHash } from 'node:crypto'

// The 256-bit entropies of the vectors that BIP-39 links to (python-mnemonic).
const official = [
  '00'.repeat(32), '7f'.repeat(32), '80'.repeat(32), 'ff'.repeat(32),
  '68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c',
  '9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863',
  '066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad',
  'f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f'
]
const more = Array.from({ length: 200 }, (_, i) => createHash('sha256').update(`fildrive ${i}`).digest('hex'))
console.log('# entropy words')
for (const e of [...official, ...more]) {
  console.log(e, entropyToMnemonic(Buffer.from(e, 'hex'), wordlist))
}
