/** Domains that the service keeps by itself. */

const serviceDomains: ReadonlySet<string> = new Set(['delta.rowTracking'])

/** Whether the content of a domain is assigned anew for each commit, so that two writes of it never conflict. */
export function isServiceDomain(domain: string): boolean {
  return serviceDomains.has(domain)
}
