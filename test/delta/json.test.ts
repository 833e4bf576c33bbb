import fc from 'fast-check'
import t from 'tap'
import {
  actionBody,
  compactJson,
  elementSources,
  exactBody,
  exactInteger,
  jsonDepthMax,
  memberPlaces,
  memberSources,
  nestsTooDeep,
  parseExact,
  setMembers,
  surveyJson,
} from '../../src/delta/json.ts'

const whiteSpace = fc
  .array(fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 }), {
    minLength: 1,
  })
  .map((runs) => {
    let next = 0
    return () => runs[next++ % runs.length] ?? ''
  })

/** Serializes with white space at every place where JSON allows it. */
function spaced(value: unknown, space: () => string): string {
  if (Array.isArray(value)) {
    const elements = value.map((element) => space() + spaced(element, space) + space())
    return `[${elements.length > 0 ? elements.join(',') : space()}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) =>
        `${space()}${JSON.stringify(name)}${space()}:${space()}${spaced(member, space)}${space()}`,
    )
    return `{${members.length > 0 ? members.join(',') : space()}}`
  }
  return JSON.stringify(value)
}

/** The elements of an array that is a member of an object, each as its own text. */
function memberElements(text: string, member: string): string[] {
  return elementSources(memberSources(text).get(member) ?? '[]')
}

t.test('compaction takes white space between tokens away and nothing else', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), whiteSpace, (value, space) => {
      const text = space() + spaced(value, space) + space()
      return compactJson(text) === JSON.stringify(value)
    }),
  )
  const compact = '{"a b":[1.0,-0,1E5,"\\u0041 \\" \\\\"],"a":{},"a":[]}'
  t.equal(compactJson(compact), compact)
  t.equal(compactJson('[1,2]'), '[1,2]')
  t.equal(compactJson('  "a b"  '), '"a b"')
  t.equal(compactJson(' 12 '), '12')
  t.equal(compactJson('{"a" : 1.0 , "a" :\t[ 1e5 , true ] }'), '{"a":1.0,"a":[1e5,true]}')
})

t.test('each element of an array keeps its own tokens', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), whiteSpace, (elements, other, space) => {
      const text = space() + spaced({ other, actions: elements, more: 1 }, space) + space()
      const sources = memberElements(text, 'actions')
      t.same(
        sources,
        elements.map((element) => JSON.stringify(element)),
      )
      t.same(
        sources.map((source) => JSON.parse(source)),
        JSON.parse(text).actions,
      )
    }),
  )
})

t.test('members are found by their decoded names, the last of a repeated one', async (t) => {
  t.same(memberElements(String.raw`{"\u0061ctions": [1 , 2]}`, 'actions'), ['1', '2'])
  t.same(memberElements('{"actions":[1],"x":{"actions":[3]},"actions":[2]}', 'actions'), ['2'])
  t.same(memberElements(String.raw`{"a\"b":[{"x" : "}]\\"}]}`, 'a"b'), [String.raw`{"x":"}]\\"}`])
  t.same([...memberSources(' { } ')], [])
  t.same(
    [...memberSources('{"a": 1.0, "b" :"x y", "": [ ]}')],
    [
      ['a', '1.0'],
      ['b', '"x y"'],
      ['', '[]'],
    ],
  )
  t.same(elementSources(' [ ] '), [])
  t.same(elementSources('[1.0 , "a" , null]'), ['1.0', '"a"', 'null'])
})

t.test('texts that end too early are read to their end and no further', async (t) => {
  for (const text of ['{"a":[1,', '{"a', '["', '[1,2', '{"a":{"b":"c']) {
    t.doesNotThrow(() => [memberSources(text), elementSources(text), nestsTooDeep(text)], text)
  }
})

t.test('deep nesting is noticed, also in texts that are no JSON', async (t) => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  t.equal(nestsTooDeep(nested(jsonDepthMax)), false)
  t.equal(nestsTooDeep(nested(jsonDepthMax + 1)), true)
  t.equal(nestsTooDeep(nested(3), 2), true)
  t.equal(nestsTooDeep('{"a":'.repeat(jsonDepthMax + 1)), true)
  t.equal(nestsTooDeep('['.repeat(16_000_000)), true)
  t.equal(nestsTooDeep(`"${'['.repeat(200)}"`), false)
  t.equal(nestsTooDeep(`"\\"${'['.repeat(200)}"`), false)
  t.equal(nestsTooDeep('[]'.repeat(200)), false)
})

t.test('a survey counts members and sees numbers that are not plain integers', async (t) => {
  const plain = (text: string) => surveyJson(text).hasPlainNumbers
  for (const text of ['1', '-123456789012345', '"1.5"', '[1,true,false,null]', '{"1e5":"2.0"}']) {
    t.equal(plain(text), true, text)
  }
  for (const text of ['1.0', '1e5', '1E5', '-0.5', '[1234567890123456]', '{"a":1.5}']) {
    t.equal(plain(text), false, text)
  }
  t.equal(surveyJson('{"a":{"a":":"},"a":[{"b:":1}]}').memberCount, 4)
})

t.test('integers are read exactly', async (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (integer) => {
      const value = parseExact(`[${integer}]`)
      t.same(value, [exactInteger(String(integer))])
      t.equal(BigInt((value as [number | bigint])[0]), integer)
    }),
  )
  t.same(parseExact('{"a":9007199254740991,"b":9007199254740992}'), {
    a: 9007199254740991,
    b: 9007199254740992n,
  })
  t.same(parseExact('[1.5,1e3,1e20,1000000000000000.5]'), [1.5, 1000, 1e20, 1e15 + 0.5])
  t.equal(parseExact('9'.repeat(2000)), Number.POSITIVE_INFINITY)
  t.throws(() => parseExact('{"a":12345678901234567890'), SyntaxError)
})

t.test('the body of an action is read exactly where that makes a difference', async (t) => {
  const body = { appId: 'a', version: 2 ** 53 }
  const json = '{"txn":{"appId":"a","version":9007199254740993}}'
  t.same(exactBody({ kind: 'txn', body, json }), { appId: 'a', version: 9007199254740993n })
  const small = { appId: 'a', version: 7 }
  t.equal(exactBody({ kind: 'txn', body: small, json: JSON.stringify({ txn: small }) }), small)
  t.equal(actionBody(json), '{"appId":"a","version":9007199254740993}')
})

t.test('the places of members are where their values begin', async (t) => {
  t.strictSame([...memberPlaces('{}')], [])
  const text = '{"\\u0061":null,"s":"}\\"{","b":{"c":1}}'
  t.strictSame(Object.fromEntries(memberPlaces(text)), { a: 10, s: 19, b: 30 })
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (given) => {
      const json = JSON.stringify(given)
      const places = memberPlaces(json)
      for (const [name, source] of memberSources(json)) {
        t.ok(json.startsWith(source, places.get(name)))
      }
      t.equal(places.size, memberSources(json).size)
    }),
  )
})

t.test('members are set in an object, and every other token stays', async (t) => {
  const set = (text: string, members: Record<string, string>) =>
    setMembers(text, new Map(Object.entries(members)))
  t.equal(set('{}', { a: '1' }), '{"a":1}')
  t.equal(set('{"a":1.0}', {}), '{"a":1.0}')
  t.equal(
    set('{"a":null,"b":{"a":null}}', { a: '9007199254740993' }),
    '{"a":9007199254740993,"b":{"a":null}}',
  )
  t.equal(
    set('{"\\u0061":null,"s":"}\\"{"}', { a: '1', c: '"x"' }),
    '{"\\u0061":1,"s":"}\\"{","c":"x"}',
  )
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (given, more) => {
        const members = new Map(
          Object.entries(more).map(([name, value]) => [name, JSON.stringify(value)]),
        )
        const text = setMembers(JSON.stringify(given), members)
        const expected = {
          ...JSON.parse(JSON.stringify(given)),
          ...JSON.parse(JSON.stringify(more)),
        }
        t.same(JSON.parse(text), expected)
        t.equal(memberSources(text).size, Object.keys(expected).length)
      },
    ),
  )
})
