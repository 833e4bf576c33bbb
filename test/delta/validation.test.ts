import t from 'tap'
import { validateCommit } from '../../src/delta/validation.ts'
import { violationCodes } from '../../src/delta/violations.ts'
import { columnCases } from './cases/columns.ts'
import { deletionVectorCases } from './cases/deletion-vectors.ts'
import { featureCases } from './cases/features.ts'
import { fileFieldCases } from './cases/file-fields.ts'
import { fileCases } from './cases/files.ts'
import { icebergCompatCases } from './cases/iceberg-compat.ts'
import { metadataCases } from './cases/metadata.ts'
import { otherCases } from './cases/other-actions.ts'
import { rowIdCases } from './cases/row-ids.ts'
import { add, remove, table } from './support.ts'

const cases = [
  ...fileFieldCases,
  ...fileCases,
  ...deletionVectorCases,
  ...metadataCases,
  ...otherCases,
  ...rowIdCases,
  ...featureCases,
  ...icebergCompatCases,
  ...columnCases,
]

for (const { name, actions, state, expected } of cases) {
  const verdict = expected.length > 0 ? 'is refused' : 'is legal'
  t.test(`${name} ${verdict}`, async (t) => {
    const violations = validateCommit(actions, state)
    t.same(
      violations.map(({ code, index }) => [code, index]),
      expected.map(([code, index]) => [code, index]),
      violations.map(({ message }) => message).join('\n'),
    )
    for (const [at, [, , message]] of expected.entries()) {
      if (typeof message === 'string') t.equal(violations[at]?.message, message)
      else if (message) t.match(violations[at]?.message, message)
    }
    for (const { message } of violations) t.notMatch(message, /\.$|undefined|\[object/)
  })
}

t.test('every code of the catalogue has a case', async (t) => {
  const seen = new Set(cases.flatMap(({ expected }) => expected.map(([code]) => code)))
  t.same([...seen].sort(), Object.keys(violationCodes).sort())
})

t.test('violations of files name their paths, cut when long', async (t) => {
  const paths = validateCommit([add('/a'), remove(`/${'x'.repeat(3000)}`)], table())
  t.equal(paths[0]?.path, '/a')
  t.equal(paths[1]?.path, `/${'x'.repeat(1999)}…`)
})
