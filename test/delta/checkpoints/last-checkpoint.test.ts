import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  canonicalJson,
  lastCheckpointText,
} from '../../../src/delta/checkpoints/last-checkpoint.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')

const cases: [what: string, json: string, canonical: string][] = [
  ['literals', '{"a":true,"b":false,"c":null}', '"a"=true,"b"=false,"c"=null'],
  [
    'numbers as written',
    '{"a":1.50,"b":-0,"c":9007199254740993}',
    '"a"=1.50,"b"=-0,"c"=9007199254740993',
  ],
  ['strings', '{"a":"hello world"}', '"a"="hello%20world"'],
  ['marks that some leave alone', '{"a":"!\'()*"}', '"a"="%21%27%28%29%2A"'],
  ['marks that stay', '{"a":"-._~"}', '"a"="-._~"'],
  ['characters of several bytes', '{"ä":"\\u20ac"}', '"%C3%A4"="%E2%82%AC"'],
  ['paths in order', '{"b":{"y":null,"x":"u"},"a":10}', '"a"=10,"b"+"x"="u","b"+"y"=null'],
  ['arrays', '{"a":[null,"hi",[2]]}', '"a"+0=null,"a"+1="hi","a"+2+0=2'],
  ['white space', '{ "a" : [ 1 , 2 ] }', '"a"+0=1,"a"+1=2'],
  ['the checksum itself', '{"k1":"v1","checksum":"x","k3":23}', '"k1"="v1","k3"=23'],
  ['a checksum further in', '{"a":{"checksum":1}}', '"a"+"checksum"=1'],
  ['nothing', '{}', ''],
]

for (const [what, json, canonical] of cases) {
  t.equal(canonicalJson(json), canonical, what)
}

t.test('the example of the protocol', async (t) => {
  const json = `{"k0":"'v 0'", "checksum": "adsaskfljadfkjadfkj", "k1":{"k2": 2, "k3": ["v3", [1, 2], {"k4": "v4", "k5": ["v5", "v6", "v7"]}]}}`
  t.equal(md5(canonicalJson(json)), '6a92d155a59bf2eecbd4b4ec7fd1f875')
})

const beside = fileURLToPath(new URL('../../../../shared/delta-tables', import.meta.url))
const folder = process.env['DELTA_TABLES_DIR'] ?? beside
const skip = existsSync(folder) ? false : `${folder} is absent`

t.test('what others wrote has the checksum that it tells', { skip }, async (t) => {
  let checked = 0
  for await (const path of glob(`${folder}/*/*/_delta_log/_last_checkpoint`)) {
    const text = await readFile(path, 'utf8')
    if (!text.includes('"checksum"')) continue
    t.equal(md5(canonicalJson(text)), JSON.parse(text).checksum, path)
    checked += 1
  }
  t.ok(checked >= 3)
})

t.test('a pointer to a V2 checkpoint names its file', async (t) => {
  const text = lastCheckpointText({
    version: 3,
    numActions: 9,
    numAddFiles: 5,
    sizeInBytes: 700,
    top: { name: 'top.parquet', sizeInBytes: 300, modifiedAt: 17 },
  })
  t.equal(
    text,
    '{"version":3,"size":9,"sizeInBytes":700,"numOfAddFiles":5,"v2Checkpoint":{"path":"top.parquet","sizeInBytes":300,"modificationTime":17}}',
  )
})
