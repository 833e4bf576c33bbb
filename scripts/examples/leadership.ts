import { type Client, expectStatus } from '../demo/client.ts'

/** A candidate's turn as the leader of an election. */
export interface Leadership {
  /** What a write carries to be refused once another leads. */
  fence: { election: string; token: number }
  /** Leads no more, so that the next one need not wait until the lease has run out. */
  resign: () => Promise<void>
}

const ttlMs = 2000
const waitMs = 30_000

/** Waits until the candidate is elected. From then on the lease is renewed, until it is lost or given up. */
export async function lead(
  client: Client,
  election: string,
  candidate: string,
): Promise<Leadership> {
  const path = `/elections/${election}`
  const token = await campaign()
  const renewing = setInterval(renew, ttlMs / 4)
  renewing.unref()

  async function campaign(): Promise<number> {
    for (;;) {
      const wish = { candidate, ttlMs, waitMs }
      const answer = await client.post<{ token: number }>(`${path}/campaign`, wish)
      if (answer.status !== 409) return expectStatus(answer, 200).body.token
    }
  }

  /** A failure is left to the next time: the lease outlives a few, and a lost one is found out by the next write. */
  async function renew(): Promise<void> {
    const answer = await client.post(`${path}/renew`, { candidate, token }).catch(() => undefined)
    if (answer?.status === 409) clearInterval(renewing)
  }

  return {
    fence: { election, token },
    async resign() {
      clearInterval(renewing)
      await client.post(`${path}/resign`, { candidate, token })
    },
  }
}
