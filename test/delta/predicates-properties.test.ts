import fc from 'fast-check'
import t from 'tap'
import { randomClaim } from './predicates/claims.ts'
import { randomFile, randomTable } from './predicates/files.ts'
import type { Pick } from './predicates/model.ts'
import { parsed } from './predicates/support.ts'

const filesPerTable = 4
const claimsPerTable = 4

const place = (count: number) => fc.noBias(fc.nat(count - 1))

/** Numbers of files that hold no row that satisfies a predicate, and of those that were dropped. */
const counts = { unneeded: 0, dropped: 0 }

t.test('a file that holds a row that satisfies a predicate is never dropped', async () => {
  fc.assert(
    fc.property(fc.gen(), (generate) => {
      const pick: Pick = (options) => options[generate(place, options.length)] as never
      const model = randomTable(pick)
      const files = Array.from({ length: filesPerTable }, () => randomFile(model, pick))
      for (let index = 0; index < claimsPerTable; index++) {
        const claim = randomClaim(model, 3, pick)
        const predicate = parsed(claim.node, model.table)
        for (const file of files) {
          const isNeeded = file.rows.some((row) => claim.holds(row) === true)
          const isKept = predicate.couldMatch(file)
          if (isNeeded && !isKept) throw new Error(JSON.stringify({ claim, file }, null, 1))
          if (!isNeeded) counts.unneeded++
          if (!isKept) counts.dropped++
        }
      }
    }),
    { numRuns: 1500 },
  )
})

t.test('of the files that are not needed, many are dropped', async (t) => {
  t.comment(`${counts.dropped} of ${counts.unneeded}`)
  t.ok(counts.dropped > counts.unneeded / 4)
})
