/** The rules of domainMetadata actions (PROTOCOL.md, "Domain Metadata"). */
import type { ActionOf } from '../actions.ts'
import { clusteringDomain, clusteringFaults } from '../clustering.ts'
import { columnMappingMode } from '../column-mapping.ts'
import { rowTrackingDomain } from '../row-ids.ts'
import { schemaOf } from '../table-state.ts'
import { isStorableText, quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import { readBody } from './bodies.ts'
import type { Commit } from './commit.ts'
import { checkKey } from './other-actions.ts'

const systemPrefix = 'delta.'

/** Only what each of them means can be judged, so those that are not known here are closed to all. */
function checkSystemDomain(domain: string, report: Report): void {
  if (!domain.toLowerCase().startsWith(systemPrefix) || domain === clusteringDomain) return
  const message =
    domain === rowTrackingDomain
      ? `domainMetadata domain ${quoted(domain)} is written by the service as it assigns row ids; leave it out`
      : `domainMetadata domain ${quoted(domain)} belongs to Delta itself; use a name of your own that does not begin with "${systemPrefix}"`
  report('domain-reserved', message)
}

function checkClustering(
  { configuration, removed }: ActionOf<'domainMetadata'>['body'],
  { metadata, features }: Commit,
  report: Report,
): void {
  if (!features.has('clustering')) {
    const message = `table feature clustering is needed for the domain ${clusteringDomain}; add it by a protocol action in the same commit`
    report('feature-missing', message)
  }
  const schema = metadata && schemaOf(metadata)
  if (removed || schema === undefined) return
  const mode = columnMappingMode(metadata?.configuration)
  for (const fault of clusteringFaults(configuration, schema, mode)) {
    report('clustering-invalid', `domainMetadata configuration of ${clusteringDomain} ${fault}`)
  }
}

/** Judges a domainMetadata action. */
export function checkDomain(
  action: ActionOf<'domainMetadata'>,
  commit: Commit,
  report: Report,
): void {
  const { domain, configuration } = readBody(action, report)
  checkKey({ value: domain, title: 'domainMetadata domain', invalid: 'domain-invalid' }, report)
  if (!isStorableText(configuration)) {
    const message = 'domainMetadata configuration holds a NUL or unpaired surrogate; leave it out'
    report('text-not-storable', message)
  }
  checkSystemDomain(domain, report)
  if (domain === clusteringDomain) checkClustering(action.body, commit, report)
  if (commit.protocol && !commit.features.has('domainMetadata')) {
    const message =
      'table feature domainMetadata is needed for domainMetadata actions; add it by a protocol action in the same commit'
    report('feature-missing', message)
  }
}
