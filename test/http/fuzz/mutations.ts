import fc, { type Arbitrary } from 'fast-check'
import { hostileText, junk } from './values.ts'

/** The same value with something wrong, or merely different, in one place. */
export function mutated(value: unknown): Arbitrary<unknown> {
  const places = placesIn(value)
  return fc
    .tuple(fc.nat({ max: places.length - 1 }), mutation)
    .map(([index, change]) => changedAt(value, places[index] ?? [], change))
}

type Place = readonly (string | number)[]
type Change = (value: unknown) => unknown

/** Stands for what is left out. */
const nothing = Symbol('nothing')

const mutation: Arbitrary<Change> = fc.oneof(
  {
    arbitrary: fc.oneof(junk).map(
      (other): Change =>
        () =>
          other,
    ),
    weight: 4,
  },
  { arbitrary: fc.constant<Change>(() => nothing), weight: 2 },
  { arbitrary: fc.tuple(fc.string({ maxLength: 8 }), junk).map(withMember), weight: 2 },
  { arbitrary: hostileText.map(withText), weight: 3 },
  { arbitrary: fc.integer().map(withNumber), weight: 2 },
  {
    arbitrary: fc.constant<Change>((value) =>
      Array.isArray(value) ? [...value, ...value] : value,
    ),
    weight: 1,
  },
)

function withMember([name, member]: [string, unknown]): Change {
  return (value) => (isObject(value) ? { ...value, [name]: member } : value)
}

function withText(text: string): Change {
  return (value) => (typeof value === 'string' ? value + text : text)
}

function withNumber(number: number): Change {
  return (value) => (typeof value === 'number' ? value + number : number)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function placesIn(value: unknown, place: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [place]
  const steps = Array.isArray(value) ? value.keys() : Object.keys(value)
  const inner = [...steps].flatMap((step) =>
    placesIn((value as Record<string | number, unknown>)[step], [...place, step]),
  )
  return [place, ...inner]
}

function changedAt(value: unknown, place: Place, change: Change): unknown {
  const [step, ...rest] = place
  if (step === undefined) return change(value)
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => {
      const changed = index === step ? changedAt(item, rest, change) : item
      return changed === nothing ? [] : [changed]
    })
  }
  const members = Object.entries(value as object).flatMap(([name, member]) => {
    const changed = name === step ? changedAt(member, rest, change) : member
    return changed === nothing ? [] : [[name, changed] as const]
  })
  return Object.fromEntries(members)
}

/** JSON texts that say more or other than any value can. */
export function mutatedText(text: string): Arbitrary<string> {
  return fc.oneof(
    fc.nat({ max: text.length }).map((end) => text.slice(0, end)),
    fc
      .constantFrom('1e400', '9223372036854775808', '-0', '1.0', '9'.repeat(400), '"\\ud800"')
      .map((token) => text.replace(/(?<=:)\d+/, token)),
    fc.constant(text.replace('{', '{"a":1,"a":2,')),
    fc.constant(text.replace('{', `{"a":${'['.repeat(5000)}${']'.repeat(5000)},`)),
    fc.constantFrom('\ufeff', '\0', '\r\n', ',', '{', '//').map((noise) => noise + text),
    fc.nat({ max: text.length }).map((at) => `${text.slice(0, at)}\n${text.slice(at)}`),
  )
}
