/** Domains that the service keeps by itself. */
import { rowTrackingDomain } from '../row-ids.ts'

/** Whether the content of a domain is assigned anew for each commit, so that two writes of it never conflict. */
export function isServiceDomain(domain: string): boolean {
  return domain === rowTrackingDomain
}
