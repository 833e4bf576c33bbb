/** What a transaction can be in. */
export const transactionStates = [
  'active',
  'committing',
  'committed',
  'rolling-back',
  'rolled-back',
  'expired',
] as const

export type TransactionState = (typeof transactionStates)[number]
