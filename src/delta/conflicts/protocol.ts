/** Winners that change the protocol. */
import type { Protocol } from '../actions.ts'
import { supportedFeatures, tableFeatures } from '../features.ts'
import { listed } from '../text.ts'
import type { Candidate } from './candidate.ts'
import type { Collision } from './conflict.ts'
import type { Winner } from './winner.ts'

/**
 * Features whose mere presence may bind the data that is written: those that this service does not know. Each
 * that it knows takes effect by a property, the schema or a domain, whose change is judged by itself, or asks
 * something of the service alone (row ids, commits through a catalog). Data that breaks an unknown one may
 * have been written already, and nothing in the actions would show it.
 */
function bindsByPresence(feature: string): boolean {
  return !tableFeatures.has(feature)
}

function collision(did: string, features: readonly string[] = []): Collision {
  const facts = features.length > 0 ? { features } : {}
  return { code: 'protocol-changed', did, facts }
}

/** Whether a winner's protocol stands against a commit that was decided under the protocol `read`. */
export function protocolCollision(
  candidate: Candidate,
  { protocol }: Winner,
  read: Protocol,
): Collision | undefined {
  if (protocol === undefined) return undefined
  if (candidate.writesProtocol) {
    return collision('changed the protocol, which this commit changes too')
  }
  const [before, after] = [supportedFeatures(read), supportedFeatures(protocol)]
  const dropped = [...before].filter((name) => !after.has(name))
  if (dropped.length > 0) {
    return collision(
      `dropped table features that the table had when this commit was decided: ${listed(dropped)}`,
      dropped,
    )
  }
  const added = [...after].filter((name) => !before.has(name) && bindsByPresence(name))
  if (added.length === 0) return undefined
  const did = `added table features that the data of this commit may not heed: ${listed(added)}`
  return collision(did, added)
}
