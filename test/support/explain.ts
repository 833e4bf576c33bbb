import type { KyselyPlugin, RawNode } from 'kysely'
import type { Db } from '../../src/database/connect.ts'

interface Plan {
  Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number }
}

/** How many pages the one statement of `work`, which is run, looks at; settings aside. */
export async function countBuffers(
  db: Db,
  work: (explained: Db) => Promise<unknown>,
): Promise<number> {
  const plans: Plan[] = []
  const explain: KyselyPlugin = {
    transformQuery: ({ node }) => {
      const { sqlFragments, ...rest } = node as RawNode
      const [first = '', ...others] = sqlFragments
      if (/^\s*set /.test(first)) return node
      return {
        ...rest,
        sqlFragments: [`explain (analyze, buffers, format json) ${first}`, ...others],
      }
    },
    transformResult: async ({ result }) => {
      const [{ 'QUERY PLAN': plan } = {}] = result.rows
      if (plan === undefined) return result
      plans.push(...(typeof plan === 'string' ? JSON.parse(plan) : plan))
      return { ...result, rows: [{}] }
    },
  }
  await work(db.withPlugin(explain))
  const [{ Plan: plan } = { Plan: undefined }, ...others] = plans
  if (plan === undefined || others.length > 0) throw new Error('it is not one statement')
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
}
