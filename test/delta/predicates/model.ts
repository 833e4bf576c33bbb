/** A model of Delta's types for property tests: values of each, their order, and how writers write them. */

/** Chooses one of some, as the test's generator wills. */
export type Pick = <T>(options: readonly T[]) => T

/** A value of some model type; only that type knows what it is. */
export type ModelValue = unknown

export interface ModelType {
  /** Its name in a schema. */
  name: string
  metadata?: Record<string, unknown>
  /** Types of one kind compare with each other, by either's `compare`. */
  kind: string
  pool: readonly ModelValue[]
  compare: (a: ModelValue, b: ModelValue) => number
  literal: (value: ModelValue, pick: Pick) => { value: string; valueType: string }
  partition: (value: ModelValue, pick: Pick) => string
  /** A least or greatest value as JSON text in statistics; undefined when the writer leaves it out. */
  bound: (value: ModelValue, end: 'least' | 'greatest', pick: Pick) => string | undefined
}

function modelType<V>(
  given: {
    [K in keyof ModelType]: ModelType[K] extends (value: ModelValue, ...rest: infer R) => infer T
      ? K extends 'compare'
        ? (a: V, b: V) => number
        : (value: V, ...rest: R) => T
      : K extends 'pool'
        ? readonly V[]
        : ModelType[K]
  },
): ModelType {
  return given as unknown as ModelType
}

const bySign = <V extends bigint | number>(a: V, b: V) => (a < b ? -1 : a > b ? 1 : 0)

function integerModel(name: string, bits: bigint): ModelType {
  const limit = 2n ** (bits - 1n)
  const edges = [-limit, -limit + 1n, -1n, 0n, 1n, 5n, limit - 2n, limit - 1n]
  return modelType<bigint>({
    name,
    kind: 'integer',
    pool: bits === 64n ? [...edges, 2n ** 53n, 2n ** 53n + 1n] : edges,
    compare: bySign,
    literal: (value, pick) => ({ value: `${value}`, valueType: pick([name, 'long']) }),
    partition: (value, pick) =>
      value < 0n ? `${value}` : pick([`${value}`, `+${value}`, `00${value}`]),
    bound: (value) => `${value}`,
  })
}

function decimalTextOf(unscaled: bigint, scale: number): string {
  const digits = `${unscaled < 0n ? -unscaled : unscaled}`.padStart(scale + 1, '0')
  const point = digits.length - scale
  const fraction = scale === 0 ? '' : `.${digits.slice(point)}`
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`
}

/** Values are unscaled. */
function decimalModel(precision: number, scale: number): ModelType {
  const name = `decimal(${precision},${scale})`
  const limit = 10n ** BigInt(precision)
  const mixed = [12_345n, 1_234_567_890_123_456_789n, 10n ** 20n + 1n, 10n ** 15n]
  return modelType<bigint>({
    name,
    kind: name,
    pool: [
      1n - limit,
      -1n,
      0n,
      1n,
      limit - 2n,
      limit - 1n,
      ...mixed.filter((value) => value < limit),
    ],
    compare: bySign,
    literal: (value, pick) => ({
      value: decimalTextOf(value, scale),
      valueType: pick([name, 'decimal']),
    }),
    partition: (value, pick) => pick([decimalTextOf(value, scale), `${value}E-${scale}`]),
    bound: (value, _end, pick) => {
      const rounded = JSON.stringify(Number(value) / 10 ** scale)
      const exact = decimalTextOf(value, scale)
      return pick([exact, rounded, `"${exact}"`])
    },
  })
}

/** The fewest digits that still name a float. */
function shortestFloat(value: number): string {
  for (let digits = 1; digits < 17; digits++) {
    const text = value.toPrecision(digits)
    if (Number.isFinite(value) && Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(value)
}

const compareFloats = (a: number, b: number) => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return bySign(a, b)
}

const singles = [0, -0, 1.1, -2.5, NaN, Infinity, -Infinity, 3.4e38, 1e-45, 16_777_216].map(
  Math.fround,
)
const doubles = [0, -0, 1.1, Math.fround(1.1), NaN, Infinity, -Infinity, 1.7e308, 5e-324, 2 ** 53]

/** Whether values are written as the shortest text that names a float, as a double, or as either. */
function floatingModel(name: string, holds: 'floats' | 'doubles' | 'old floats'): ModelType {
  const texts = (value: number) => {
    if (holds === 'doubles') return [String(value)]
    return holds === 'floats' ? [shortestFloat(value), String(value)] : [shortestFloat(value)]
  }
  return modelType<number>({
    name,
    ...(holds === 'old floats'
      ? { metadata: { 'delta.typeChanges': [{ fromType: 'float' }] } }
      : {}),
    kind: 'floating',
    pool: holds === 'doubles' ? doubles : singles,
    compare: compareFloats,
    literal: (value, pick) =>
      Object.is(Math.fround(value), value)
        ? pick([
            { value: shortestFloat(value), valueType: 'float' },
            { value: String(value), valueType: 'double' },
          ])
        : { value: String(value), valueType: 'double' },
    partition: (value, pick) => pick(texts(value)),
    bound: (value, _end, pick) =>
      Number.isFinite(value) ? pick(texts(value)) : pick([JSON.stringify(String(value)), 'null']),
  })
}

const booleanModel = modelType<boolean>({
  name: 'boolean',
  kind: 'boolean',
  pool: [false, true],
  compare: (a, b) => Number(a) - Number(b),
  literal: (value, pick) => ({ value: `${value}`, valueType: pick(['bool', 'boolean']) }),
  partition: (value) => `${value}`,
  bound: (value) => `${value}`,
})

const compareBytes = (a: Uint8Array, b: Uint8Array) => Math.sign(Buffer.compare(a, b))

/** A string cut short in one of the ways that writers do that. */
function cutString(text: string, end: 'least' | 'greatest', pick: Pick): string {
  const length = pick([1, 2, 3, 32])
  const points = [...text]
  const ways = [points.slice(0, length).join('')]
  ways.push(text.slice(0, length), Buffer.from(text).subarray(0, length).toString())
  const cut = pick(ways)
  return cut === text || end === 'least' ? cut : cut + pick(['', '\u{10ffff}'])
}

const stringModel = modelType<string>({
  name: 'string',
  kind: 'string',
  pool: [
    ...['a', 'ab', 'abc', 'b', 'B', 'é', 'éa', 'ab\u{7f}', '\ud7ff', '\ue000x', '\uffff'],
    ...['\u{1f600}', '\u{1f600}y', 'a\u{10ffff}', 'a\u{10ffff}\u{10ffff}z'],
  ],
  compare: (a, b) => compareBytes(Buffer.from(a), Buffer.from(b)),
  literal: (value) => ({ value, valueType: 'string' }),
  partition: (value) => value,
  bound: (value, end, pick) => JSON.stringify(cutString(value, end, pick)),
})

const binaryModel = modelType<Buffer>({
  name: 'binary',
  kind: 'binary',
  pool: [[0], [1, 2], [1, 2, 3], [0x41], [0x80], [0xc3, 0xa9], [0xff, 0xff]].map((bytes) =>
    Buffer.from(bytes),
  ),
  compare: compareBytes,
  literal: (value) => ({ value: value.toString('base64'), valueType: 'binary' }),
  partition: (value, pick) => {
    const escaped = [...value].map((byte) => `\\u${byte.toString(16).padStart(4, '0')}`)
    return pick([value.toString('latin1'), value.toString('utf8'), escaped.join('')])
  },
  bound: (value, _end, pick) => pick([JSON.stringify(value.toString('latin1')), undefined]),
})

const textOfDay = (day: number) => new Date(day * 86_400_000).toISOString().slice(0, 10)

const dateModel = modelType<number>({
  name: 'date',
  kind: 'date',
  pool: [-719_162, -1, 0, 19_722, 19_723, 19_724, 2_932_896],
  compare: bySign,
  literal: (value) => ({ value: textOfDay(value), valueType: 'date' }),
  partition: textOfDay,
  bound: (value) => JSON.stringify(textOfDay(value)),
})

const times = [
  '0002-01-01T00:00:00.000000Z',
  '1899-12-31T23:40:28.000000Z',
  '1969-12-31T23:59:59.999999Z',
  '1970-01-01T00:00:00.000000Z',
  '2024-01-01T00:00:00.123000Z',
  '2024-01-01T00:00:00.123456Z',
  '2024-01-01T00:00:00.123999Z',
  '2024-01-01T00:00:00.124000Z',
  '2024-01-01T12:00:00.000001Z',
  '2024-01-03T12:00:00.000000Z',
  '9998-12-31T23:59:59.999999Z',
].map((text) => BigInt(Date.parse(text)) * 1000n + BigInt(text.slice(23, 26)))

const second = 1_000_000n

/** What a clock shows that is so many seconds ahead of UTC. */
function clockText(micros: bigint, secondsAhead = 0): string {
  const local = micros + BigInt(secondsAhead) * second
  const fraction = ((local % second) + second) % second
  const time = new Date(Number((local - fraction) / 1000n)).toISOString().slice(0, 19)
  return `${time}.${`${fraction}`.padStart(6, '0')}`
}

function floorToMillis(micros: bigint): bigint {
  return micros - (((micros % 1000n) + 1000n) % 1000n)
}

const plainClock = (text: string) => text.replace('T', ' ').replace(/\.?0+$/, '')
const millisClock = (text: string) => text.slice(0, 23)

const timestampModel = modelType<bigint>({
  name: 'timestamp',
  kind: 'timestamp',
  pool: times,
  compare: bySign,
  literal: (value, pick) => ({
    value: pick([`${clockText(value)}Z`, `${clockText(value, 19_800)}+05:30`, clockText(value)]),
    valueType: 'timestamp',
  }),
  partition: (value, pick) => {
    const local = clockText(value, pick([-12, -5, 0, 9, 14]) * 3600)
    return pick([`${clockText(value)}Z`, `${plainClock(clockText(value))}Z`, plainClock(local)])
  },
  bound: (value, _end, pick) => {
    const millis = floorToMillis(value)
    const old = value < 0n ? [`${millisClock(clockText(millis, 1172))}+00:19`] : []
    const known = [
      `${millisClock(clockText(millis))}Z`,
      `${millisClock(clockText(millis, -18_000))}-05:00`,
    ]
    const finer = `${clockText(value)}Z`
    return JSON.stringify(pick([...known, ...old, finer, millisClock(clockText(millis, 32_400))]))
  },
})

const timestampNtzModel = modelType<bigint>({
  name: 'timestamp_ntz',
  kind: 'timestamp_ntz',
  pool: times,
  compare: bySign,
  literal: (value, pick) => ({
    value: pick([clockText(value), plainClock(clockText(value))]),
    valueType: 'timestamp_ntz',
  }),
  partition: (value, pick) => pick([clockText(value), plainClock(clockText(value))]),
  bound: (value, _end, pick) => {
    const millis = millisClock(clockText(floorToMillis(value)))
    return JSON.stringify(pick([millis, `${millis}Z`, clockText(value)]))
  },
})

/** Every type of Delta that has an order. */
export const modelTypes: readonly ModelType[] = [
  integerModel('byte', 8n),
  integerModel('short', 16n),
  integerModel('integer', 32n),
  integerModel('long', 64n),
  decimalModel(5, 2),
  decimalModel(20, 0),
  decimalModel(38, 10),
  floatingModel('float', 'floats'),
  floatingModel('double', 'doubles'),
  floatingModel('double', 'old floats'),
  booleanModel,
  stringModel,
  binaryModel,
  dateModel,
  timestampModel,
  timestampNtzModel,
]
