// Made from docs/reference/asyncapi.json by `make docs`.  Do not edit.

/**
 * @typedef {object} CallOptions
 * @property {number} [deadlineSeconds] how long to wait for the answer, reconnections included
 * @property {AbortSignal} [signal] stops waiting; a command that was sent may be applied nevertheless
 */

/** @typedef {(method: string, params: object, options?: CallOptions) => Promise<any>} Ask */

/**
 * Raise or lower the amount that an open hold reserves; captured money stays captured.
 * @typedef {object} AdjustHold
 * @property {"hold.adjust"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} hold
 * @property {bigint} amount
 */

/**
 * Raise or lower the amount that an open hold reserves; captured money stays captured.
 * @typedef {object} AdjustHoldGiven
 * @property {"hold.adjust"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {bigint} amount
 */

/**
 * Raise or lower the amount that an open hold reserves; captured money stays captured.
 * @typedef {object} AdjustHoldParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {bigint} amount
 */

/**
 * A command was applied and is durable.
 * `replayed` is true if this repeats an earlier answer to the same command id; `dry_run`, if nothing was changed and no
 * sequence was used. A dry run reports the room that the command would leave in each balance that it touches. Balances,
 * wallets and holds are those that the session may see; if others were touched too, there is no `entry_hash`.
 * @typedef {object} Applied
 * @property {number | null} sequence
 * @property {string} time
 * @property {string | null} entry_hash
 * @property {string | null} transfer
 * @property {string | null} hold
 * @property {AssetRecord[]} assets
 * @property {WalletRecord[]} wallets
 * @property {BalanceRecord[]} balances
 * @property {HoldRecord[]} holds
 * @property {ClientView[]} clients
 * @property {BatchOutcome[]} outcomes
 * @property {Room[]} room
 * @property {boolean} replayed
 * @property {boolean} dry_run
 * @property {string} command_id the id that the command was sent with, given or made
 */

/**
 * An asset: its code and its scale.
 * @typedef {object} AssetRecord
 * @property {string} asset
 * @property {number} scale
 */

/**
 * Per asset: the sum over all wallets, which is zero, and the total of the customers' wallets, in smallest units.
 * `scale` is null only for an undefined asset, which no sound journal has.
 * @typedef {object} AssetTotal
 * @property {string} asset
 * @property {bigint} sum
 * @property {bigint} in_customer_wallets
 * @property {number | null} scale
 */

/**
 * Assets by code; `next` is the `after` of the following page, absent on the last.
 * @typedef {object} Assets
 * @property {AssetRecord[]} assets
 * @property {string | null} next
 */

/**
 * Sum up every balance. `after` is the `next` of the previous answer; each page costs the same work again.
 * @typedef {object} AuditBooks
 * @property {AuditPlaceGiven | null} [after]
 */

/**
 * A place among the sums of an audit: after this asset, with all balances as of this entry.
 * @typedef {object} AuditPlace
 * @property {number} sequence
 * @property {string} asset
 */

/**
 * A place among the sums of an audit: after this asset, with all balances as of this entry.
 * @typedef {object} AuditPlaceGiven
 * @property {number} sequence
 * @property {string} asset
 */

/**
 * The sums of the read tables as of `sequence`; `violations` is empty, unless something is wrong.
 * The sums of thousands of assets do not fit into one answer: then `next` marks the rest. If there are more than a
 * thousand violations, the last one states their number.
 * @typedef {object} AuditReport
 * @property {number} sequence
 * @property {number} wallets
 * @property {AssetTotal[]} totals
 * @property {string[]} violations
 * @property {AuditPlace | null} next
 */

/**
 * Whether a token is needed, and how it can be carried; if the handshake carried one, its client.
 * @typedef {object} AuthenticationTerms
 * @property {boolean} required
 * @property {string[]} methods
 * @property {string | null} principal
 * @property {string[]} scopes
 * @property {string | null} expires_at
 * @property {Budget | null} budget
 */

/**
 * A condition on a wallet's balance of an asset, posted or available: at least, at most or exactly this amount.
 * @typedef {object} BalanceCondition
 * @property {string} wallet
 * @property {string} asset
 * @property {"available" | "posted"} amount
 * @property {bigint | null} gte
 * @property {bigint | null} lte
 * @property {bigint | null} eq
 */

/**
 * A condition on a wallet's balance of an asset, posted or available: at least, at most or exactly this amount.
 * @typedef {object} BalanceConditionGiven
 * @property {string} wallet
 * @property {string} asset
 * @property {"available" | "posted"} [amount]
 * @property {bigint | null} [gte]
 * @property {bigint | null} [lte]
 * @property {bigint | null} [eq]
 */

/**
 * A place among balances by wallet and asset: after this one.
 * @typedef {object} BalancePlace
 * @property {string} wallet
 * @property {string} asset
 */

/**
 * A place among balances by wallet and asset: after this one.
 * @typedef {object} BalancePlaceGiven
 * @property {string} wallet
 * @property {string} asset
 */

/**
 * A wallet's balance of one asset after the entry, in smallest units.
 * `available` is the amount that can be paid: posted − held − floor. It is null for a system wallet, which has no
 * floor.
 * @typedef {object} BalanceRecord
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} posted
 * @property {bigint} held
 * @property {bigint | null} available
 * @property {number} version
 */

/**
 * Balances by wallet and asset, all as of the entry `sequence`, at `time`.
 * Requested later with that time as `as_of`, they are the same.
 * @typedef {object} Balances
 * @property {BalanceRecord[]} balances
 * @property {Room[]} room
 * @property {number} sequence
 * @property {string} time
 * @property {BalancePlace | null} next
 */

/**
 * The outcome of one command of a batch: `error` is its refusal, as it would be for a single command.
 * @typedef {object} BatchOutcome
 * @property {string} command_id
 * @property {string | null} transfer
 * @property {string | null} hold
 * @property {ErrorObject | null} error
 */

/**
 * What all sessions of a client, and of its viewing keys, may take together.
 * A field that is left out has the default of the client's scopes; 0 means no limit.
 * @typedef {object} Budget
 * @property {number | null} journal_bytes_per_second
 * @property {number | null} journal_burst_bytes
 * @property {number | null} journal_bytes_per_day
 * @property {number | null} processor_ms_per_second
 * @property {number | null} requests_per_second
 * @property {number | null} in_flight
 * @property {number | null} in_flight_bytes
 * @property {number | null} connections
 * @property {number | null} subscriptions
 */

/**
 * What all sessions of a client, and of its viewing keys, may take together.
 * A field that is left out has the default of the client's scopes; 0 means no limit.
 * @typedef {object} BudgetGiven
 * @property {number | null} [journal_bytes_per_second]
 * @property {number | null} [journal_burst_bytes]
 * @property {number | null} [journal_bytes_per_day]
 * @property {number | null} [processor_ms_per_second]
 * @property {number | null} [requests_per_second]
 * @property {number | null} [in_flight]
 * @property {number | null} [in_flight_bytes]
 * @property {number | null} [connections]
 * @property {number | null} [subscriptions]
 */

/**
 * Pay from a hold, to one or several wallets. `final` releases the rest of it.
 * @typedef {object} CaptureHold
 * @property {"hold.capture"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} hold
 * @property {Part[]} parts
 * @property {boolean} final
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/**
 * Pay from a hold, to one or several wallets. `final` releases the rest of it.
 * @typedef {object} CaptureHoldGiven
 * @property {"hold.capture"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {readonly PartGiven[]} parts
 * @property {boolean} [final]
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * Pay from a hold, to one or several wallets. `final` releases the rest of it.
 * @typedef {object} CaptureHoldParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {readonly PartGiven[]} parts
 * @property {boolean} [final]
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * One page of clients; `next` is the `after` of the following page, absent on the last.
 * @typedef {object} ClientPage
 * @property {ClientView[]} clients
 * @property {string | null} next
 */

/**
 * A client after the entry: its scopes and its tokens, oldest first.
 * @typedef {object} ClientRecord
 * @property {string} client
 * @property {string[]} scopes
 * @property {TokenRecord[]} tokens
 * @property {string} created_by
 * @property {string} created_at
 * @property {string | null} revoked_at
 * @property {string[]} addresses
 * @property {Budget | null} budget
 */

/**
 * A client: its scopes, its valid tokens, its creator, and whether it was revoked.
 * @typedef {object} ClientView
 * @property {string} client
 * @property {string[]} scopes
 * @property {TokenView[]} tokens
 * @property {string} created_by
 * @property {string} created_at
 * @property {string | null} revoked_at
 * @property {string[]} addresses
 * @property {Budget | null} budget
 */

/**
 * Close a wallet permanently. It must be empty, or name the wallet that receives its balances.
 * @typedef {object} CloseWallet
 * @property {"wallet.close"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string | null} sweep_to
 */

/**
 * Close a wallet permanently. It must be empty, or name the wallet that receives its balances.
 * @typedef {object} CloseWalletGiven
 * @property {"wallet.close"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string | null} [sweep_to]
 */

/**
 * Close a wallet permanently. It must be empty, or name the wallet that receives its balances.
 * @typedef {object} CloseWalletParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string | null} [sweep_to]
 */

/**
 * Start a compaction, unless one is running: archive all but the newest `keep_entries` of the journal.
 * Without a number, that of the configuration applies. The answer reports the progress; `daemon.status` does later.
 * @typedef {object} Compact
 * @property {number | null} [keep_entries]
 */

/**
 * The progress of the journal's compaction: `done` of `whole` entries in this step, and the last outcome.
 * `step` is idle, waiting, snapshot, archiving, proving, pruning or shrinking; `archived` is the last sequence that is
 * no longer in `journal.db`.
 * @typedef {object} CompactionStatus
 * @property {string} step
 * @property {number} done
 * @property {number} whole
 * @property {number} archived
 * @property {number} runs
 * @property {number} failures
 * @property {string | null} last_failure
 * @property {string | null} last_finished_at
 */

/**
 * An AsyncAPI 3.1 document: this protocol in machine-readable form.
 * @typedef {object} Contract
 * @property {"3.1.0"} asyncapi
 * @property {Record<string, unknown>} info
 * @property {string} defaultContentType
 * @property {Record<string, unknown>} servers
 * @property {Record<string, unknown>} channels
 * @property {Record<string, unknown>} operations
 * @property {Record<string, unknown>} components
 * @property {Record<string, unknown>[]} x-errors
 * @property {string[]} x-errors-before-any-method
 * @property {Record<string, unknown>[]} x-close-codes
 * @property {Record<string, unknown>} x-http
 * @property {Record<string, unknown>[]} x-limits
 */

/**
 * The start of a wallet's velocity count: the time at which this command of this entry limited its asset.
 * A longer window cannot count outflows that a shorter one has already dropped: nothing up to `after` counts.
 * @typedef {object} CountedFrom
 * @property {number} sequence
 * @property {number} command
 * @property {string | null} after
 */

/**
 * Create a client with these scopes and a first token, of which only the SHA-256 is sent, until the token expires.
 * A name with a slash makes a viewing key of the client named before the slash; only that client can create it.
 * @typedef {object} CreateClient
 * @property {"client.create"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} client
 * @property {string[]} scopes
 * @property {string} token_sha256
 * @property {string | null} expires_at
 * @property {number | null} expires_in_seconds
 * @property {string[]} addresses
 * @property {Budget | null} budget
 */

/**
 * Create a client with these scopes and a first token, of which only the SHA-256 is sent, until the token expires.
 * A name with a slash makes a viewing key of the client named before the slash; only that client can create it.
 * @typedef {object} CreateClientParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} client
 * @property {readonly string[]} scopes
 * @property {string} token_sha256
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 * @property {readonly string[]} [addresses]
 * @property {BudgetGiven | null} [budget]
 */

/**
 * The position up to which a stream was read: events after `sequence` are still wanted; 0 is before everything.
 * @typedef {object} Cursor
 * @property {number} epoch
 * @property {number} sequence
 */

/** @typedef {"compacting" | "degraded" | "draining" | "failed" | "following" | "recovering" | "serving" | "starting" | "stopped" | (string & {})} DaemonState */

/**
 * The daemon at a glance.
 * @typedef {object} DaemonStatus
 * @property {DaemonState} lifecycle
 * @property {string} server_version
 * @property {string} instance
 * @property {number} epoch
 * @property {number} head
 * @property {number} projected
 * @property {number} warm_wallets
 * @property {number} sessions
 * @property {number} guests
 * @property {number} guests_dropped
 * @property {PrincipalUse[]} top
 * @property {number} over_budget
 * @property {string} started_at
 * @property {CompactionStatus | null} compaction
 * @property {LedgerStatus | null} ledger
 */

/**
 * Define an asset and, permanently, the number of decimal places of its main unit.
 * @typedef {object} DefineAsset
 * @property {"asset.define"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} asset
 * @property {number} scale
 */

/**
 * Define an asset and, permanently, the number of decimal places of its main unit.
 * @typedef {object} DefineAssetGiven
 * @property {"asset.define"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} asset
 * @property {number} scale
 */

/**
 * Define an asset and, permanently, the number of decimal places of its main unit.
 * @typedef {object} DefineAssetParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} asset
 * @property {number} scale
 */

/**
 * The daemon is about to stop; this answer is among the last.
 * @typedef {object} Draining
 * @property {DaemonState} lifecycle
 * @property {number} sessions
 */

/**
 * The records after an applied command: everything that it touched.
 * @typedef {object} Effects
 * @property {AssetRecord[]} assets
 * @property {WalletRecord[]} wallets
 * @property {BalanceRecord[]} balances
 * @property {HoldRecord[]} holds
 * @property {Moved[]} moved
 * @property {TransferRecord[]} transfers
 * @property {OutflowRecord[]} outflows
 * @property {FoldedOutflow[]} folded
 * @property {ClientRecord[]} clients
 * @property {string[]} forgotten
 * @property {(Refusal | null)[]} outcomes
 */

/**
 * One decided command: the client, the request, the time, and exactly one outcome.
 * `history` is the mark of the history that wrote the entry, empty for the first: a restore begins another, whose
 * entries reuse sequences. `redacted` marks an entry shown to a session that may not see all of it; the journal has
 * none of these.
 * @typedef {object} Entry
 * @property {number} sequence
 * @property {string} history
 * @property {string} time
 * @property {string} principal
 * @property {Command} command
 * @property {Refusal | null} refusal
 * @property {Effects | null} effects
 * @property {boolean} redacted
 */

/**
 * One page of the journal; `head` is the last durable sequence.
 * It also ends before a message of 1 MiB is full, but has at least one entry: only a page without entries is behind the
 * last. An entry of an earlier version may be larger, and is then alone.
 * @typedef {object} EntryPage
 * @property {EntryView[]} entries
 * @property {number} head
 */

/**
 * An entry and its hash: SHA-256 of a zero byte and the entry's exact bytes, as RFC 6962 defines it.
 * A redacted entry has no hash, because the hash would help to guess the missing parts.
 * @typedef {object} EntryView
 * @property {Entry} entry
 * @property {string | null} entry_hash
 */

/**
 * The reason why a request failed: a code, a sentence for people, and `data` for programs.
 * @typedef {object} ErrorObject
 * @property {-32700 | -32600 | -32601 | -32602 | -32603 | 1001 | 1002 | 1003 | 1004 | 1005 | 1006 | 1007 | 1008 | 1009 | 2001 | 2002 | 2003 | 2004 | 2005 | 2006 | 2007 | 2008 | 2009 | 2010 | 2011 | 2012 | 2013 | 3001 | 3002 | 3010 | 3011 | 3020 | 3021 | 3022 | 3023 | 3024 | 3025 | 3026 | 3027 | 3030 | 3031 | 3035 | 3040 | 3041 | 3042 | 3043 | 3044 | 3045 | 3046 | 3047 | 3048 | 3049 | 3050 | 3051 | 3052 | 3060 | 3061 | 3062 | 3063 | 3064 | 3070 | (number & {})} code
 * @property {string} message
 * @property {Facts & { reason: Reason, outcome: string, retry: string }} data
 */

/**
 * Several commands in one entry: all or none of them or, if it is not `atomic`, each by itself.
 * A later command sees the effects of earlier ones. The batch is one step of each wallet's version, so `if_version` of
 * a command in it refers to the version before the batch. The batch uses up the ids of its commands, whatever the
 * outcome.
 * @typedef {object} ExecuteBatch
 * @property {"batch.execute"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {(DefineAsset | OpenWallet | UpdateWallet | FreezeWallet | UnfreezeWallet | CloseWallet | PostTransfer | RefundTransfer | PlaceHold | CaptureHold | ExtendHold | AdjustHold | VoidHold)[]} commands
 * @property {boolean} atomic
 */

/**
 * Several commands in one entry: all or none of them or, if it is not `atomic`, each by itself.
 * A later command sees the effects of earlier ones. The batch is one step of each wallet's version, so `if_version` of
 * a command in it refers to the version before the batch. The batch uses up the ids of its commands, whatever the
 * outcome.
 * @typedef {object} ExecuteBatchParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {CommandGiven[]} commands
 * @property {boolean} [atomic]
 */

/**
 * Record the expiry of a hold, together with the wallet's other expired holds. Only the daemon sends it.
 * `most` limits the number of holds in this entry if not all of them fit: the next entry continues with the rest.
 * Entries of earlier versions have no limit, and recorded all of them.
 * @typedef {object} ExpireHold
 * @property {"hold.expire"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} hold
 * @property {number | null} most
 */

/**
 * Change an open hold's expiry; an `expires_at` of null keeps it open until it is captured or voided.
 * @typedef {object} ExtendHold
 * @property {"hold.extend"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} hold
 * @property {string | null} [expires_at]
 * @property {number | null} expires_in_seconds
 */

/**
 * Change an open hold's expiry; an `expires_at` of null keeps it open until it is captured or voided.
 * @typedef {object} ExtendHoldGiven
 * @property {"hold.extend"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 */

/**
 * Change an open hold's expiry; an `expires_at` of null keeps it open until it is captured or voided.
 * @typedef {object} ExtendHoldParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 */

/**
 * The facts that explain an error; each reason has some of them.
 * @typedef {object} Facts
 * @property {number} [retry_after_ms] milliseconds to wait before trying again
 * @property {string} [field] the field that the error is about, such as postings[0].amount; empty: the whole document
 * @property {number} [posting] index of the refused posting
 * @property {number} [condition] index of the if_balance condition that does not hold
 * @property {number} [command] index of the refused command in the batch
 * @property {number} [sequence] the journal entry with the refusal, or with the command id's first use
 * @property {boolean} [replayed] true if this repeats an earlier answer to the same command id
 * @property {boolean} [dry_run] true if the command was a dry run
 * @property {string} [method] the requested method
 * @property {string} [right] the missing right: view, spend, mint, open, freeze, define, keys, operate, metrics or admin
 * @property {string} [scope] a scope that would suffice
 * @property {string} [what] the queue that is full, the sender that is too fast, or the part that is too large
 * @property {number} [number] how many the command would record
 * @property {string} [leader] the URL of the node that leads the ledger, if this one does not and knows it
 * @property {number} [at_least] the entry that the answer should show
 * @property {string} [why] why it is not possible now, or why the wallet is frozen
 * @property {string} [wallet] the wallet that the error is about
 * @property {string[]} [wallets] the wallets that were quarantined
 * @property {string} [to] the wallet that would receive the money
 * @property {string} [budget] the budget that is used up, by the name of its field
 * @property {string} [asset] the asset that the error is about
 * @property {number} [scale] the decimal places of the asset's main unit: 1250 of EUR with 2 are 12.50 EUR
 * @property {string} [hold] the hold that the error is about
 * @property {number} [holds] the number of open holds
 * @property {string} [transfer] the transfer that the error is about
 * @property {boolean} [given_up] true if the id belongs to a history that a restore discarded
 * @property {string} [client] the client that the error is about
 * @property {string} [principal] who asked
 * @property {string} [needs] the condition that would have to hold
 * @property {string} [command_id] the command id already in use
 * @property {number} [subscription] the requested subscription
 * @property {number | string} [limit] the limit that was reached; for velocity, an amount
 * @property {string} [amount] the balance that the condition is about: posted or available
 * @property {bigint | null} [stands] its current value
 * @property {bigint} [posted] the posted balance
 * @property {bigint} [held] the part of it that is held
 * @property {bigint} [floor] the lowest balance permitted
 * @property {bigint} [available] the available balance
 * @property {bigint} [required] the amount that the command needs
 * @property {bigint} [short_by] the amount that is missing
 * @property {bigint} [maximum] the highest balance permitted
 * @property {bigint} [would_have] the balance that would result
 * @property {bigint} [reserved] the amount that the hold still reserves
 * @property {bigint} [refundable] the amount that can still be refunded
 * @property {number} [window_seconds] the velocity window that is exceeded
 * @property {bigint} [used] the amount sent within the window
 * @property {bigint} [remaining] the amount that may still be sent within it
 * @property {string | null} [fits_at] when the amount would fit if nothing else is sent; null: never
 * @property {number} [version] the wallet's current version
 * @property {number} [demanded] the version that if_version required
 * @property {string} [frozen] what the freeze stops: debits, credits or both
 * @property {string | null} [until] when the freeze ends; null: not by itself
 * @property {string} [opened_at] when the wallet was opened
 * @property {string} [created_at] when the client was created
 * @property {string} [revoked_at] when the client was revoked
 * @property {string} [valid_until] until when the command was valid
 * @property {string} [moment] the expiry or end given
 * @property {string} [time] the server's time
 * @property {number | string} [as_of] the requested point in history
 * @property {number | string | null} [asked] the requested value
 * @property {number} [head] the last durable sequence
 * @property {number} [oldest] the oldest sequence that the journal holds
 * @property {number} [cursor] the cursor's sequence
 * @property {number} [cursor_epoch] the cursor's epoch
 * @property {number} [epoch] the journal's epoch
 */

/**
 * The daemon's internal state as text; `file` is where it was written, on the daemon's machine.
 * @typedef {object} FaultReport
 * @property {string} report
 * @property {string | null} file
 */

/**
 * Several outflows of one wallet and asset, from `first` through this one, which from this entry on count as one.
 * None of them belongs to an open hold. All leave a window when the last of them does: at most a hundredth of the
 * window late.
 * @typedef {object} FoldedOutflow
 * @property {string} wallet
 * @property {string} asset
 * @property {number} first
 * @property {number} first_command
 * @property {number} sequence
 * @property {number} command
 * @property {string} time
 * @property {bigint} amount
 */

/**
 * A freeze: the side that it stops, the reason, and its end; from that time on it has no effect.
 * @typedef {object} Freeze
 * @property {FrozenSide} frozen
 * @property {string} why
 * @property {string | null} until
 */

/**
 * Stop money into a wallet, out of it, or both; until a given time, or until it is unfrozen. Replaces an earlier
 * freeze.
 * Voids and expiries of holds are never stopped. Captures are: a hold reserves money, but does not override a freeze.
 * @typedef {object} FreezeWallet
 * @property {"wallet.freeze"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {FrozenSide} [frozen]
 * @property {string} why
 * @property {string | null} until
 * @property {number | null} until_in_seconds
 */

/**
 * Stop money into a wallet, out of it, or both; until a given time, or until it is unfrozen. Replaces an earlier
 * freeze.
 * Voids and expiries of holds are never stopped. Captures are: a hold reserves money, but does not override a freeze.
 * @typedef {object} FreezeWalletGiven
 * @property {"wallet.freeze"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {FrozenSide} [frozen]
 * @property {string} why
 * @property {string | Date | null} [until]
 * @property {number | null} [until_in_seconds]
 */

/**
 * Stop money into a wallet, out of it, or both; until a given time, or until it is unfrozen. Replaces an earlier
 * freeze.
 * Voids and expiries of holds are never stopped. Captures are: a hold reserves money, but does not override a freeze.
 * @typedef {object} FreezeWalletParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {FrozenSide} [frozen]
 * @property {string} why
 * @property {string | Date | null} [until]
 * @property {number | null} [until_in_seconds]
 */

/** @typedef {"both" | "credits" | "debits"} FrozenSide */

/**
 * The balances of `wallet` or of several `wallets`, of one asset or of all: now or, with `as_of`, at an earlier point.
 * A sequence means the books right after that entry, a time those after the last entry up to that time. `after` is the
 * `next` of the previous page; with its `time` as `as_of`, all pages show one moment.
 * @typedef {object} GetBalance
 * @property {number | null} [at_least]
 * @property {string | null} [wallet]
 * @property {readonly string[] | null} [wallets]
 * @property {string | null} [asset]
 * @property {number | string | Date | null} [as_of]
 * @property {BalancePlaceGiven | null} [after]
 */

/**
 * An entry by its sequence, or by the command id that the requesting client gave it. Exactly one of both.
 * @typedef {object} GetEntry
 * @property {number | null} [at_least]
 * @property {number | null} [sequence]
 * @property {string | null} [command_id]
 */

/**
 * A hold of a wallet, by its id.
 * @typedef {object} GetHold
 * @property {number | null} [at_least]
 * @property {string} wallet
 * @property {string} hold
 */

/**
 * The movements of one wallet, oldest first or newest first; `cursor` is the `next` of the previous page.
 * The range begins with `since` and ends before `until`, both a sequence or a time. `asset`, `counterparty` and `kind`
 * select among its lines.
 * @typedef {object} GetStatement
 * @property {number | null} [at_least]
 * @property {string} wallet
 * @property {string | null} [asset]
 * @property {string | null} [counterparty]
 * @property {"capture" | "refund" | "sweep" | "transfer" | null} [kind]
 * @property {number | string | Date | null} [since]
 * @property {number | string | Date | null} [until]
 * @property {boolean} [newest_first]
 * @property {string | null} [cursor]
 * @property {number} [limit]
 */

/**
 * A transfer by its id.
 * @typedef {object} GetTransfer
 * @property {number | null} [at_least]
 * @property {string} transfer
 */

/**
 * One wallet with all its parts; for a wallet with very many assets, `after` is the `next` of the previous answer.
 * @typedef {object} GetWallet
 * @property {number | null} [at_least]
 * @property {string} wallet
 * @property {string | null} [after]
 */

/**
 * The server's first message on a connection.
 * @typedef {object} Hello
 * @property {string} protocol
 * @property {string} server_version
 * @property {string} instance
 * @property {number} epoch
 * @property {DaemonState} lifecycle
 * @property {string} connection
 * @property {AuthenticationTerms} auth
 * @property {SessionLimits} limits
 * @property {string[]} features
 * @property {number} heartbeat_ms
 * @property {Node | null} node
 */

/**
 * One page of holds; `next` is the `after` of the following page, absent on the last.
 * @typedef {object} HoldPage
 * @property {HoldView[]} holds
 * @property {number} sequence
 * @property {string | null} next
 */

/**
 * A hold after the entry: `captured` out of `amount`; while it is open, the rest is reserved.
 * @typedef {object} HoldRecord
 * @property {string} hold
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} amount
 * @property {bigint} captured
 * @property {HoldState} state
 * @property {string} placed_at
 * @property {string | null} expires_at
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/** @typedef {"captured" | "expired" | "open" | "voided"} HoldState */

/**
 * A hold at the moment of the request; `reserved` is the amount that can still be captured.
 * @typedef {object} HoldView
 * @property {string} hold
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} amount
 * @property {bigint} captured
 * @property {bigint} reserved
 * @property {HoldState} state
 * @property {string} placed_at
 * @property {string | null} expires_at
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 * @property {number} sequence
 */

/**
 * Some segments of the journal, packed and deflated as in archive files; empty if there are none.
 * `head` is the last durable sequence; `created_ns` is when the journal was created, in nanoseconds since 1970.
 * @typedef {object} JournalBlock
 * @property {string} instance
 * @property {number} created_ns
 * @property {number} epoch
 * @property {number} head
 * @property {string} block
 */

/**
 * A ledger in PostgreSQL, and this daemon's part in it. `term` counts the times that a daemon took it.
 * @typedef {object} LedgerStatus
 * @property {string} name
 * @property {number} term
 * @property {boolean} replicated
 * @property {NodeRole} [role]
 * @property {string | null} leader
 * @property {number} lag_entries
 * @property {number} lag_seconds
 * @property {number | null} lease_seconds
 */

/**
 * Assets by code; `after` is the `next` of the previous page.
 * @typedef {object} ListAssets
 * @property {number | null} [at_least]
 * @property {string | null} [after]
 */

/**
 * Clients in the order of their names: all of them for an admin, otherwise the client itself and its viewing keys.
 * `after` is the last name of the previous page.
 * @typedef {object} ListClients
 * @property {number | null} [at_least]
 * @property {string | null} [after]
 * @property {number} [limit]
 */

/**
 * Entries in the journal's order, those after the sequence `after`.
 * @typedef {object} ListEntries
 * @property {number | null} [at_least]
 * @property {number} [after]
 * @property {number} [limit]
 */

/**
 * The open holds of a wallet in order of placing, or all of them; `after` is the last id of the previous page.
 * @typedef {object} ListHolds
 * @property {number | null} [at_least]
 * @property {string} wallet
 * @property {boolean} [also_closed]
 * @property {string | null} [after]
 * @property {number} [limit]
 */

/**
 * Wallets in the order of their names that match all filters; `after` is the `next` of the previous page.
 * Each key of `metadata` must have exactly the given value.
 * @typedef {object} ListWallets
 * @property {number | null} [at_least]
 * @property {string} [prefix]
 * @property {WalletStatus | null} [status]
 * @property {Record<string, string>} [metadata]
 * @property {string | null} [after]
 * @property {number} [limit]
 */

/** @typedef {"debug" | "error" | "info" | "warning"} LogLevel */

/**
 * The present level of each component.
 * @typedef {object} LogLevels
 * @property {Record<string, string>} levels
 */

/**
 * Money that a command moved without naming each movement: the parts of a capture, or the sweep at a closing.
 * `command` is that command's index in its batch.
 * @typedef {object} Moved
 * @property {string} from
 * @property {string} to
 * @property {string} asset
 * @property {bigint} amount
 * @property {number} command
 */

/**
 * The method takes no parameters.
 * @typedef {object} NoParams
 */

/**
 * The daemon as one of several nodes of a ledger in PostgreSQL.
 * @typedef {object} Node
 * @property {string} ledger
 * @property {NodeRole} role
 * @property {number} term
 * @property {string | null} leader
 * @property {number} lag_entries
 * @property {number} lag_seconds
 */

/** @typedef {"follower" | "leader"} NodeRole */

/**
 * Open a wallet. A name that starts with `@` makes a system wallet, which may go below zero.
 * @typedef {object} OpenWallet
 * @property {"wallet.open"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {Record<string, string>} metadata
 */

/**
 * Open a wallet. A name that starts with `@` makes a system wallet, which may go below zero.
 * @typedef {object} OpenWalletGiven
 * @property {"wallet.open"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {Record<string, string>} [metadata]
 */

/**
 * Open a wallet. A name that starts with `@` makes a system wallet, which may go below zero.
 * @typedef {object} OpenWalletParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {Record<string, string>} [metadata]
 */

/**
 * The amount that one command sent from a wallet whose velocity is limited, less what its hold has given back since.
 * The command is identified by its entry and, in a batch, its index.
 * @typedef {object} OutflowRecord
 * @property {string} wallet
 * @property {string} asset
 * @property {number} sequence
 * @property {number} command
 * @property {string} time
 * @property {bigint} amount
 * @property {string | null} hold
 */

/**
 * One part of a capture: this amount of the hold goes to this wallet.
 * @typedef {object} Part
 * @property {string} to
 * @property {bigint} amount
 */

/**
 * One part of a capture: this amount of the hold goes to this wallet.
 * @typedef {object} PartGiven
 * @property {string} to
 * @property {bigint} amount
 */

/**
 * Reserve money in a wallet, so that a capture cannot fail for lack of funds; until it expires, if it ever does.
 * @typedef {object} PlaceHold
 * @property {"hold.place"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} amount
 * @property {string | null} expires_at
 * @property {number | null} expires_in_seconds
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/**
 * Reserve money in a wallet, so that a capture cannot fail for lack of funds; until it expires, if it ever does.
 * @typedef {object} PlaceHoldGiven
 * @property {"hold.place"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} amount
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * Reserve money in a wallet, so that a capture cannot fail for lack of funds; until it expires, if it ever does.
 * @typedef {object} PlaceHoldParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint} amount
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * The daemon's clock and the last durable sequence.
 * @typedef {object} Pong
 * @property {string} time
 * @property {number} head
 */

/**
 * Move money along all the postings, in their order, or along none.
 * Each posting is judged in its turn: its payer must have the money by then, from before or from an earlier posting,
 * and its payee must not exceed its maximum.
 * @typedef {object} PostTransfer
 * @property {"transfer.post"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {Posting[]} postings
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/**
 * Move money along all the postings, in their order, or along none.
 * Each posting is judged in its turn: its payer must have the money by then, from before or from an earlier posting,
 * and its payee must not exceed its maximum.
 * @typedef {object} PostTransferGiven
 * @property {"transfer.post"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {readonly PostingGiven[]} postings
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * Move money along all the postings, in their order, or along none.
 * Each posting is judged in its turn: its payer must have the money by then, from before or from an earlier posting,
 * and its payee must not exceed its maximum.
 * @typedef {object} PostTransferParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {readonly PostingGiven[]} postings
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * One movement: `amount` smallest units of `asset` leave one wallet and reach another.
 * @typedef {object} Posting
 * @property {string} from
 * @property {string} to
 * @property {string} asset
 * @property {bigint} amount
 */

/**
 * One movement: `amount` smallest units of `asset` leave one wallet and reach another.
 * @typedef {object} PostingGiven
 * @property {string} from
 * @property {string} to
 * @property {string} asset
 * @property {bigint} amount
 */

/**
 * One movement of a transfer.
 * @typedef {object} PostingView
 * @property {string} from
 * @property {string} to
 * @property {string} asset
 * @property {bigint} amount
 */

/**
 * What a client took since it was first seen lately: bytes of the journal, and time of the event loop.
 * @typedef {object} PrincipalUse
 * @property {string} principal
 * @property {number} journal_bytes
 * @property {number} processor_ms
 */

/**
 * Segments after the entry `after`, as they are stored.
 * @typedef {object} ReadJournal
 * @property {number} [after]
 */

/** @typedef {"above_maximum" | "asset_already_defined" | "asset_not_found" | "authentication_failed" | "authentication_required" | "balance_mismatch" | "beyond_own_access" | "capture_exceeds_hold" | "client_already_exists" | "client_not_found" | "client_revoked" | "command_expired" | "command_id_reused" | "cursor_expired" | "draining" | "entry_not_found" | "entry_too_large" | "epoch_changed" | "forbidden" | "future_cursor" | "future_moment" | "hold_not_found" | "hold_not_open" | "holds_open" | "insufficient_funds" | "internal_error" | "invalid_cursor" | "invalid_params" | "invalid_request" | "kept_in_file" | "last_admin" | "limits_not_met" | "method_not_found" | "moment_passed" | "not_reached" | "original_not_found" | "overloaded" | "parse_error" | "quota_exceeded" | "rate_limited" | "refund_exceeds_original" | "self_transfer" | "snapshot_too_large" | "subscription_not_found" | "token_in_use" | "too_many_clients" | "too_many_holds" | "too_many_subscriptions" | "too_many_tokens" | "transfer_not_found" | "unavailable" | "unknown_wallet" | "velocity_exceeded" | "version_mismatch" | "wallet_already_exists" | "wallet_closed" | "wallet_frozen" | "wallet_not_empty" | "wallet_not_found" | "wallet_not_frozen" | "wallet_quarantined" | (string & {})} Reason */

/**
 * Move money of a transfer or a capture back, in parts if need be, never more than it moved.
 * The postings run in the reverse direction: the money that `bob` got from `alice` goes from `bob` to `alice`.
 * @typedef {object} RefundTransfer
 * @property {"transfer.refund"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} transfer
 * @property {Posting[]} postings
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/**
 * Move money of a transfer or a capture back, in parts if need be, never more than it moved.
 * The postings run in the reverse direction: the money that `bob` got from `alice` goes from `bob` to `alice`.
 * @typedef {object} RefundTransferGiven
 * @property {"transfer.refund"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} transfer
 * @property {readonly PostingGiven[]} postings
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * Move money of a transfer or a capture back, in parts if need be, never more than it moved.
 * The postings run in the reverse direction: the money that `bob` got from `alice` goes from `bob` to `alice`.
 * @typedef {object} RefundTransferParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} transfer
 * @property {readonly PostingGiven[]} postings
 * @property {string | null} [reference]
 * @property {Record<string, string>} [metadata]
 */

/**
 * The amount that a transfer moved from one wallet to another in one asset, and how much of it was refunded.
 * @typedef {object} Refundable
 * @property {string} from
 * @property {string} to
 * @property {string} asset
 * @property {bigint} amount
 * @property {bigint} refunded
 */

/**
 * The reason why a command was not applied, and the facts that explain it (`available`, `required`, `field`...).
 * @typedef {object} Refusal
 * @property {Reason} reason
 * @property {Facts} facts
 */

/**
 * What the journal keeps of a command that it refused: enough to know it again, however large it was.
 * `kind` is its method and `sha256` the digest of what it asks for; `commands` are the ids of the commands in a batch,
 * which it used up. Entries of earlier versions have the whole command instead.
 * @typedef {object} RefusedCommand
 * @property {"refused"} method
 * @property {string} command_id
 * @property {string} kind
 * @property {string} sha256
 * @property {string[]} commands
 */

/**
 * Revoke a client permanently, with all its tokens and viewing keys.
 * @typedef {object} RevokeClient
 * @property {"client.revoke"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} client
 */

/**
 * Revoke a client permanently, with all its tokens and viewing keys.
 * @typedef {object} RevokeClientParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} client
 */

/**
 * How much more a wallet can pay and receive of an asset at this moment, in smallest units.
 * `payable` is the smallest of the available balance and the rest of each window, `receivable` the rest up to the
 * maximum; each is absent if nothing bounds it.
 * @typedef {object} Room
 * @property {string} wallet
 * @property {string} asset
 * @property {bigint | null} payable
 * @property {bigint | null} receivable
 * @property {WindowRoom[]} windows
 */

/**
 * Give a client a new token; earlier tokens stay valid until the overlap ends, or end at once.
 * @typedef {object} RotateClient
 * @property {"client.rotate"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} client
 * @property {string} token_sha256
 * @property {string | null} expires_at
 * @property {number | null} expires_in_seconds
 * @property {string | null} overlap_until
 * @property {number | null} overlap_for_seconds
 */

/**
 * Give a client a new token; earlier tokens stay valid until the overlap ends, or end at once.
 * @typedef {object} RotateClientParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} client
 * @property {string} token_sha256
 * @property {string | Date | null} [expires_at]
 * @property {number | null} [expires_in_seconds]
 * @property {string | Date | null} [overlap_until]
 * @property {number | null} [overlap_for_seconds]
 */

/**
 * The limits of one session.
 * @typedef {object} SessionLimits
 * @property {number} max_frame_bytes
 * @property {number} max_in_flight
 * @property {number} max_subscriptions
 * @property {number | null} rate
 * @property {number | null} principal_rate
 * @property {number | null} guest_rate
 * @property {number} max_in_flight_bytes
 * @property {number} max_fragments
 * @property {number} pings_per_second
 * @property {number} authentication_ms
 * @property {number} write_stall_ms
 */

/**
 * Change the log level of one component, or of all, until the configuration is reloaded; without a level, change
 * nothing.
 * @typedef {object} SetLogLevel
 * @property {LogLevel | null} [level]
 * @property {string | null} [component]
 */

/**
 * One page of a wallet's statement; `next` is absent on the last page.
 * `opening` and `closing` belong to the whole range, on every page and whatever lines were selected. For a wallet with
 * more than 100 assets, a page states only those that its lines move, and is `partial`. `sequence` is the last entry
 * that the statement covers; it is the same on all its pages.
 * @typedef {object} Statement
 * @property {string} wallet
 * @property {StatementBalance[]} opening
 * @property {StatementBalance[]} closing
 * @property {StatementLine[]} lines
 * @property {number} sequence
 * @property {boolean} partial
 * @property {string | null} next
 */

/**
 * The posted balance of an asset at one end of a statement's range.
 * @typedef {object} StatementBalance
 * @property {string} asset
 * @property {bigint} posted
 */

/**
 * One posting as the wallet sees it: `amount` is signed, `posted` is the balance after the line.
 * @typedef {object} StatementLine
 * @property {number} sequence
 * @property {number} line
 * @property {string} time
 * @property {string} kind
 * @property {string} asset
 * @property {bigint} amount
 * @property {bigint} posted
 * @property {string} counterparty
 * @property {string | null} transfer
 * @property {string | null} reference
 */

/**
 * An entry that touched a watched wallet; `previous_sequence` is that of the event before it.
 * @typedef {object} StreamEvent
 * @property {number} subscription
 * @property {number} epoch
 * @property {number} sequence
 * @property {number} previous_sequence
 * @property {Entry} entry
 */

/**
 * Watch changes to wallets live: exactly one of `wallets`, `prefix` and `all`.
 * `after` resumes from a cursor, `snapshot` starts with the present balances; at most one of both. With neither, the
 * stream starts at the head.
 * @typedef {object} Subscribe
 * @property {number | null} [at_least]
 * @property {readonly string[] | null} [wallets]
 * @property {string | null} [prefix]
 * @property {boolean} [all]
 * @property {0 | Cursor | null} [after]
 * @property {boolean} [snapshot]
 */

/**
 * The stream begins after `start` (on the wire `from`); `head` is the last durable sequence.
 * @typedef {object} Subscribed
 * @property {number} subscription
 * @property {"live" | "replay" | "snapshot"} mode
 * @property {number} epoch
 * @property {number} from
 * @property {number} head
 * @property {WalletView[]} wallets
 */

/**
 * A token by its hash, valid from `created_at` until before `expires_at`.
 * @typedef {object} TokenRecord
 * @property {string} sha256
 * @property {string} created_at
 * @property {string | null} expires_at
 */

/**
 * A valid token, by the first digits of its SHA-256.
 * @typedef {object} TokenView
 * @property {string} token
 * @property {string} created_at
 * @property {string | null} expires_at
 */

/**
 * A transfer or capture of which something was refunded, after the entry.
 * @typedef {object} TransferRecord
 * @property {string} transfer
 * @property {Refundable[]} parts
 */

/**
 * A transfer as posted; its refunds, or the transfer that it refunds.
 * A session that may not see all wallets gets the postings of those that it may see; only the sender sees the command's
 * id.
 * @typedef {object} TransferView
 * @property {string} transfer
 * @property {number} sequence
 * @property {string} time
 * @property {string | null} principal
 * @property {string | null} command_id
 * @property {string | null} entry_hash
 * @property {string} kind
 * @property {PostingView[]} postings
 * @property {string | null} original
 * @property {Refundable[]} refunded
 * @property {string | null} reference
 * @property {Record<string, string>} metadata
 */

/**
 * End a wallet's freeze early.
 * @typedef {object} UnfreezeWallet
 * @property {"wallet.unfreeze"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 */

/**
 * End a wallet's freeze early.
 * @typedef {object} UnfreezeWalletGiven
 * @property {"wallet.unfreeze"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 */

/**
 * End a wallet's freeze early.
 * @typedef {object} UnfreezeWalletParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 */

/**
 * Change a client's scopes, its budget, or the addresses where its tokens are valid; what is left out stays as it is.
 * A client narrows its own, and those of its viewing keys; an admin sets any. Viewing keys that show more than their
 * owner may still spend are revoked.
 * @typedef {object} UpdateClient
 * @property {"client.update"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} client
 * @property {string[] | null} scopes
 * @property {string[] | null} addresses
 * @property {Budget | null} budget
 */

/**
 * Change a client's scopes, its budget, or the addresses where its tokens are valid; what is left out stays as it is.
 * A client narrows its own, and those of its viewing keys; an admin sets any. Viewing keys that show more than their
 * owner may still spend are revoked.
 * @typedef {object} UpdateClientParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} client
 * @property {readonly string[] | null} [scopes]
 * @property {readonly string[] | null} [addresses]
 * @property {BudgetGiven | null} [budget]
 */

/**
 * Replace a wallet's metadata, the limits of some of its assets, or both.
 * Fields that are left out stay as they are; null removes an asset's limits.
 * @typedef {object} UpdateWallet
 * @property {"wallet.update"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {Record<string, string> | null} metadata
 * @property {Record<string, WalletLimits | null>} limits
 */

/**
 * Replace a wallet's metadata, the limits of some of its assets, or both.
 * Fields that are left out stay as they are; null removes an asset's limits.
 * @typedef {object} UpdateWalletGiven
 * @property {"wallet.update"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {Record<string, string> | null} [metadata]
 * @property {Record<string, WalletLimitsGiven | null>} [limits]
 */

/**
 * Replace a wallet's metadata, the limits of some of its assets, or both.
 * Fields that are left out stay as they are; null removes an asset's limits.
 * @typedef {object} UpdateWalletParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {Record<string, string> | null} [metadata]
 * @property {Record<string, WalletLimitsGiven | null>} [limits]
 */

/**
 * Release everything that an open hold still reserves.
 * @typedef {object} VoidHold
 * @property {"hold.void"} method
 * @property {string} command_id
 * @property {Record<string, number>} if_version
 * @property {BalanceCondition[]} if_balance
 * @property {string | null} valid_until
 * @property {number | null} valid_for_seconds
 * @property {boolean} dry_run
 * @property {string} wallet
 * @property {string} hold
 */

/**
 * Release everything that an open hold still reserves.
 * @typedef {object} VoidHoldGiven
 * @property {"hold.void"} method
 * @property {string} command_id
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 */

/**
 * Release everything that an open hold still reserves.
 * @typedef {object} VoidHoldParams
 * @property {string} [command_id]
 * @property {Record<string, number>} [if_version]
 * @property {readonly BalanceConditionGiven[]} [if_balance]
 * @property {string | Date | null} [valid_until]
 * @property {number | null} [valid_for_seconds]
 * @property {boolean} [dry_run]
 * @property {string} wallet
 * @property {string} hold
 */

/**
 * A wallet's limits for one asset: its lowest and highest balance, and how fast money may leave.
 * The lowest balance is a `minimum` or the end of a `credit_limit`. Entries of earlier versions may have both; then the
 * minimum holds.
 * @typedef {object} WalletLimits
 * @property {bigint | null} credit_limit
 * @property {bigint | null} minimum
 * @property {bigint | null} maximum
 * @property {Window[]} velocity
 */

/**
 * A wallet's limits for one asset: its lowest and highest balance, and how fast money may leave.
 * The lowest balance is a `minimum` or the end of a `credit_limit`. Entries of earlier versions may have both; then the
 * minimum holds.
 * @typedef {object} WalletLimitsGiven
 * @property {bigint | null} [credit_limit]
 * @property {bigint | null} [minimum]
 * @property {bigint | null} [maximum]
 * @property {readonly WindowGiven[]} [velocity]
 */

/**
 * One page of wallets; `next` is the `after` of the following page, absent on the last.
 * A search that few wallets match may return a short or empty page that nonetheless has a `next`.
 * @typedef {object} WalletPage
 * @property {WalletView[]} wallets
 * @property {number} sequence
 * @property {string | null} next
 */

/**
 * A wallet after the entry; its balances are recorded beside it.
 * @typedef {object} WalletRecord
 * @property {string} wallet
 * @property {WalletStatus} status
 * @property {number} version
 * @property {string} opened_at
 * @property {Record<string, string>} metadata
 * @property {Record<string, WalletLimits>} limits
 * @property {Freeze | null} freeze
 * @property {Record<string, CountedFrom>} counted_from
 */

/** @typedef {"closed" | "frozen" | "open"} WalletStatus */

/**
 * A wallet and its balances, all as of `sequence`.
 * If not all balances fit into an answer, `next` is the `after` with which `wallet.get` continues.
 * @typedef {object} WalletView
 * @property {string} wallet
 * @property {WalletStatus} status
 * @property {number} version
 * @property {string} opened_at
 * @property {Record<string, string>} metadata
 * @property {Record<string, WalletLimits>} limits
 * @property {Freeze | null} freeze
 * @property {BalanceRecord[]} balances
 * @property {Room[]} room
 * @property {number} sequence
 * @property {string | null} next
 */

/**
 * A velocity limit: at most `amount` may leave within any `seconds`, a rolling window.
 * @typedef {object} Window
 * @property {number} seconds
 * @property {bigint} amount
 */

/**
 * A velocity limit: at most `amount` may leave within any `seconds`, a rolling window.
 * @typedef {object} WindowGiven
 * @property {number} seconds
 * @property {bigint} amount
 */

/**
 * One velocity window: its limit, the amount that left within it, and the rest.
 * `frees_at` is when the earliest outflow leaves the window; absent if there is none.
 * @typedef {object} WindowRoom
 * @property {number} seconds
 * @property {bigint} limit
 * @property {bigint} used
 * @property {bigint} remaining
 * @property {string | null} frees_at
 */

/** @typedef {DefineAsset | OpenWallet | UpdateWallet | FreezeWallet | UnfreezeWallet | CloseWallet | PostTransfer | RefundTransfer | PlaceHold | CaptureHold | ExtendHold | AdjustHold | VoidHold | ExpireHold | ExecuteBatch | CreateClient | UpdateClient | RotateClient | RevokeClient | RefusedCommand} Command */

/** @typedef {DefineAssetGiven | OpenWalletGiven | UpdateWalletGiven | FreezeWalletGiven | UnfreezeWalletGiven | CloseWalletGiven | PostTransferGiven | RefundTransferGiven | PlaceHoldGiven | CaptureHoldGiven | ExtendHoldGiven | AdjustHoldGiven | VoidHoldGiven} CommandGiven */

/**
 * The fields that are not what JSON makes of them: their kind and, if they may be absent, their default.
 *
 * @type {Record<string, Record<string, [string, unknown?]>>}
 */
export const SHAPES = {
  AdjustHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], amount: ["bigint"] },
  AdjustHoldGiven: { if_balance: ["BalanceConditionGiven[]"], amount: ["bigint"] },
  AdjustHoldParams: { if_balance: ["BalanceConditionGiven[]"], amount: ["bigint"] },
  Applied: { sequence: ["", null], entry_hash: ["", null], transfer: ["", null], hold: ["", null], assets: ["", []], wallets: ["WalletRecord[]", []], balances: ["BalanceRecord[]"], holds: ["HoldRecord[]", []], clients: ["ClientView[]", []], outcomes: ["BatchOutcome[]", []], room: ["Room[]", []], replayed: ["", false], dry_run: ["", false] },
  AssetTotal: { sum: ["bigint"], in_customer_wallets: ["bigint"], scale: ["", null] },
  Assets: { next: ["", null] },
  AuditReport: { totals: ["AssetTotal[]"], next: ["", null] },
  AuthenticationTerms: { methods: ["", ["bearer_header", "bearer_subprotocol", "session.authenticate"]], principal: ["", null], scopes: ["", []], expires_at: ["", null], budget: ["Budget", null] },
  BalanceCondition: { amount: ["", "available"], gte: ["bigint", null], lte: ["bigint", null], eq: ["bigint", null] },
  BalanceConditionGiven: { gte: ["bigint"], lte: ["bigint"], eq: ["bigint"] },
  BalanceRecord: { posted: ["bigint"], held: ["bigint"], available: ["bigint"] },
  Balances: { balances: ["BalanceRecord[]"], room: ["Room[]", []], next: ["", null] },
  BatchOutcome: { transfer: ["", null], hold: ["", null], error: ["ErrorObject", null] },
  Budget: { journal_bytes_per_second: ["", null], journal_burst_bytes: ["", null], journal_bytes_per_day: ["", null], processor_ms_per_second: ["", null], requests_per_second: ["", null], in_flight: ["", null], in_flight_bytes: ["", null], connections: ["", null], subscriptions: ["", null] },
  CaptureHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], parts: ["Part[]"], final: ["", false], reference: ["", null], metadata: ["", {}] },
  CaptureHoldGiven: { if_balance: ["BalanceConditionGiven[]"], parts: ["PartGiven[]"] },
  CaptureHoldParams: { if_balance: ["BalanceConditionGiven[]"], parts: ["PartGiven[]"] },
  ClientPage: { clients: ["ClientView[]"], next: ["", null] },
  ClientRecord: { tokens: ["TokenRecord[]"], revoked_at: ["", null], addresses: ["", []], budget: ["Budget", null] },
  ClientView: { tokens: ["TokenView[]", []], revoked_at: ["", null], addresses: ["", []], budget: ["Budget", null] },
  CloseWallet: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], sweep_to: ["", null] },
  CloseWalletGiven: { if_balance: ["BalanceConditionGiven[]"] },
  CloseWalletParams: { if_balance: ["BalanceConditionGiven[]"] },
  CompactionStatus: { done: ["", 0], whole: ["", 0], runs: ["", 0], failures: ["", 0], last_failure: ["", null], last_finished_at: ["", null] },
  CountedFrom: { command: ["", 0], after: ["", null] },
  CreateClient: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], expires_at: ["", null], expires_in_seconds: ["", null], addresses: ["", []], budget: ["Budget", null] },
  CreateClientParams: { if_balance: ["BalanceConditionGiven[]"] },
  DaemonStatus: { guests: ["", 0], guests_dropped: ["", 0], top: ["", []], over_budget: ["", 0], compaction: ["CompactionStatus", null], ledger: ["LedgerStatus", null] },
  DefineAsset: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false] },
  DefineAssetGiven: { if_balance: ["BalanceConditionGiven[]"] },
  DefineAssetParams: { if_balance: ["BalanceConditionGiven[]"] },
  Effects: { assets: ["", []], wallets: ["WalletRecord[]", []], balances: ["BalanceRecord[]", []], holds: ["HoldRecord[]", []], moved: ["Moved[]", []], transfers: ["TransferRecord[]", []], outflows: ["OutflowRecord[]", []], folded: ["FoldedOutflow[]", []], clients: ["ClientRecord[]", []], forgotten: ["", []], outcomes: ["Refusal[]", []] },
  Entry: { history: ["", ""], command: ["Command"], refusal: ["Refusal", null], effects: ["Effects", null], redacted: ["", false] },
  EntryPage: { entries: ["EntryView[]"] },
  EntryView: { entry: ["Entry"], entry_hash: ["", null] },
  ErrorObject: { data: ["Facts"] },
  ExecuteBatch: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], commands: ["Command[]"], atomic: ["", true] },
  ExecuteBatchParams: { if_balance: ["BalanceConditionGiven[]"], commands: ["CommandGiven[]"] },
  ExpireHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], most: ["", null] },
  ExtendHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], expires_in_seconds: ["", null] },
  ExtendHoldGiven: { if_balance: ["BalanceConditionGiven[]"] },
  ExtendHoldParams: { if_balance: ["BalanceConditionGiven[]"] },
  Facts: { stands: ["bigint"], posted: ["bigint"], held: ["bigint"], floor: ["bigint"], available: ["bigint"], required: ["bigint"], short_by: ["bigint"], maximum: ["bigint"], would_have: ["bigint"], reserved: ["bigint"], refundable: ["bigint"], used: ["bigint"], remaining: ["bigint"] },
  FaultReport: { file: ["", null] },
  FoldedOutflow: { first_command: ["", 0], command: ["", 0], amount: ["bigint"] },
  Freeze: { until: ["", null] },
  FreezeWallet: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], until: ["", null], until_in_seconds: ["", null] },
  FreezeWalletGiven: { if_balance: ["BalanceConditionGiven[]"] },
  FreezeWalletParams: { if_balance: ["BalanceConditionGiven[]"] },
  Hello: { protocol: ["", "1"], auth: ["AuthenticationTerms"], limits: ["SessionLimits"], features: ["", ["streams", "snapshots", "dry_run"]], node: ["Node", null] },
  HoldPage: { holds: ["HoldView[]"], next: ["", null] },
  HoldRecord: { amount: ["bigint"], captured: ["bigint", "0"], expires_at: ["", null], reference: ["", null], metadata: ["", {}] },
  HoldView: { amount: ["bigint"], captured: ["bigint"], reserved: ["bigint"], expires_at: ["", null], reference: ["", null], metadata: ["", {}] },
  LedgerStatus: { leader: ["", null], lag_entries: ["", 0], lag_seconds: ["", 0.0], lease_seconds: ["", null] },
  Moved: { amount: ["bigint"], command: ["", 0] },
  Node: { leader: ["", null], lag_entries: ["", 0], lag_seconds: ["", 0.0] },
  OpenWallet: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], metadata: ["", {}] },
  OpenWalletGiven: { if_balance: ["BalanceConditionGiven[]"] },
  OpenWalletParams: { if_balance: ["BalanceConditionGiven[]"] },
  OutflowRecord: { command: ["", 0], amount: ["bigint"], hold: ["", null] },
  Part: { amount: ["bigint"] },
  PartGiven: { amount: ["bigint"] },
  PlaceHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], amount: ["bigint"], expires_at: ["", null], expires_in_seconds: ["", null], reference: ["", null], metadata: ["", {}] },
  PlaceHoldGiven: { if_balance: ["BalanceConditionGiven[]"], amount: ["bigint"] },
  PlaceHoldParams: { if_balance: ["BalanceConditionGiven[]"], amount: ["bigint"] },
  PostTransfer: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], postings: ["Posting[]"], reference: ["", null], metadata: ["", {}] },
  PostTransferGiven: { if_balance: ["BalanceConditionGiven[]"], postings: ["PostingGiven[]"] },
  PostTransferParams: { if_balance: ["BalanceConditionGiven[]"], postings: ["PostingGiven[]"] },
  Posting: { amount: ["bigint"] },
  PostingGiven: { amount: ["bigint"] },
  PostingView: { amount: ["bigint"] },
  RefundTransfer: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], postings: ["Posting[]"], reference: ["", null], metadata: ["", {}] },
  RefundTransferGiven: { if_balance: ["BalanceConditionGiven[]"], postings: ["PostingGiven[]"] },
  RefundTransferParams: { if_balance: ["BalanceConditionGiven[]"], postings: ["PostingGiven[]"] },
  Refundable: { amount: ["bigint"], refunded: ["bigint", "0"] },
  Refusal: { facts: ["Facts", {}] },
  RefusedCommand: { commands: ["", []] },
  RevokeClient: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false] },
  RevokeClientParams: { if_balance: ["BalanceConditionGiven[]"] },
  Room: { payable: ["bigint", null], receivable: ["bigint", null], windows: ["WindowRoom[]", []] },
  RotateClient: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], expires_at: ["", null], expires_in_seconds: ["", null], overlap_until: ["", null], overlap_for_seconds: ["", null] },
  RotateClientParams: { if_balance: ["BalanceConditionGiven[]"] },
  SessionLimits: { rate: ["", null], principal_rate: ["", null], guest_rate: ["", null], max_in_flight_bytes: ["", 8388608], max_fragments: ["", 128], pings_per_second: ["", 16], authentication_ms: ["", 10000], write_stall_ms: ["", 30000] },
  Statement: { opening: ["StatementBalance[]"], closing: ["StatementBalance[]"], lines: ["StatementLine[]"], partial: ["", false], next: ["", null] },
  StatementBalance: { posted: ["bigint"] },
  StatementLine: { amount: ["bigint"], posted: ["bigint"], transfer: ["", null], reference: ["", null] },
  StreamEvent: { entry: ["Entry"] },
  Subscribed: { wallets: ["WalletView[]", []] },
  TokenRecord: { expires_at: ["", null] },
  TokenView: { expires_at: ["", null] },
  TransferRecord: { parts: ["Refundable[]"] },
  TransferView: { principal: ["", null], command_id: ["", null], entry_hash: ["", null], kind: ["", "transfer"], postings: ["PostingView[]"], original: ["", null], refunded: ["Refundable[]", []], reference: ["", null], metadata: ["", {}] },
  UnfreezeWallet: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false] },
  UnfreezeWalletGiven: { if_balance: ["BalanceConditionGiven[]"] },
  UnfreezeWalletParams: { if_balance: ["BalanceConditionGiven[]"] },
  UpdateClient: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], scopes: ["", null], addresses: ["", null], budget: ["Budget", null] },
  UpdateClientParams: { if_balance: ["BalanceConditionGiven[]"] },
  UpdateWallet: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false], metadata: ["", null], limits: ["WalletLimits{}", {}] },
  UpdateWalletGiven: { if_balance: ["BalanceConditionGiven[]"], limits: ["WalletLimitsGiven{}"] },
  UpdateWalletParams: { if_balance: ["BalanceConditionGiven[]"], limits: ["WalletLimitsGiven{}"] },
  VoidHold: { if_version: ["", {}], if_balance: ["BalanceCondition[]", []], valid_until: ["", null], valid_for_seconds: ["", null], dry_run: ["", false] },
  VoidHoldGiven: { if_balance: ["BalanceConditionGiven[]"] },
  VoidHoldParams: { if_balance: ["BalanceConditionGiven[]"] },
  WalletLimits: { credit_limit: ["bigint", null], minimum: ["bigint", null], maximum: ["bigint", null], velocity: ["Window[]", []] },
  WalletLimitsGiven: { credit_limit: ["bigint"], minimum: ["bigint"], maximum: ["bigint"], velocity: ["WindowGiven[]"] },
  WalletPage: { wallets: ["WalletView[]"], next: ["", null] },
  WalletRecord: { metadata: ["", {}], limits: ["WalletLimits{}", {}], freeze: ["Freeze", null], counted_from: ["CountedFrom{}", {}] },
  WalletView: { metadata: ["", {}], limits: ["WalletLimits{}", {}], freeze: ["Freeze", null], balances: ["BalanceRecord[]"], room: ["Room[]", []], next: ["", null] },
  Window: { amount: ["bigint"] },
  WindowGiven: { amount: ["bigint"] },
  WindowRoom: { limit: ["bigint"], used: ["bigint"], remaining: ["bigint"], frees_at: ["", null] },
};

/** The shapes of commands in an entry, and in a batch, by their methods. */
/** @type {Record<string, Record<string, string>>} */
export const COMMANDS = {
  Command: {"hold.adjust": "AdjustHold", "hold.capture": "CaptureHold", "wallet.close": "CloseWallet", "client.create": "CreateClient", "asset.define": "DefineAsset", "batch.execute": "ExecuteBatch", "hold.expire": "ExpireHold", "hold.extend": "ExtendHold", "wallet.freeze": "FreezeWallet", "wallet.open": "OpenWallet", "hold.place": "PlaceHold", "transfer.post": "PostTransfer", "transfer.refund": "RefundTransfer", "refused": "RefusedCommand", "client.revoke": "RevokeClient", "client.rotate": "RotateClient", "wallet.unfreeze": "UnfreezeWallet", "client.update": "UpdateClient", "wallet.update": "UpdateWallet", "hold.void": "VoidHold"},
  CommandGiven: {"hold.adjust": "AdjustHoldGiven", "hold.capture": "CaptureHoldGiven", "wallet.close": "CloseWalletGiven", "asset.define": "DefineAssetGiven", "hold.extend": "ExtendHoldGiven", "wallet.freeze": "FreezeWalletGiven", "wallet.open": "OpenWalletGiven", "hold.place": "PlaceHoldGiven", "transfer.post": "PostTransferGiven", "transfer.refund": "RefundTransferGiven", "wallet.unfreeze": "UnfreezeWalletGiven", "wallet.update": "UpdateWalletGiven", "hold.void": "VoidHoldGiven"},
};

/** @type {Record<string, { params: string, result: string, isCommand: boolean }>} */
export const METHODS = {
  "session.ping": { params: "NoParams", result: "Pong", isCommand: false },
  "rpc.discover": { params: "NoParams", result: "Contract", isCommand: false },
  "asset.define": { params: "DefineAssetParams", result: "Applied", isCommand: true },
  "asset.list": { params: "ListAssets", result: "Assets", isCommand: false },
  "wallet.open": { params: "OpenWalletParams", result: "Applied", isCommand: true },
  "wallet.update": { params: "UpdateWalletParams", result: "Applied", isCommand: true },
  "wallet.freeze": { params: "FreezeWalletParams", result: "Applied", isCommand: true },
  "wallet.unfreeze": { params: "UnfreezeWalletParams", result: "Applied", isCommand: true },
  "wallet.close": { params: "CloseWalletParams", result: "Applied", isCommand: true },
  "wallet.get": { params: "GetWallet", result: "WalletView", isCommand: false },
  "wallet.list": { params: "ListWallets", result: "WalletPage", isCommand: false },
  "transfer.post": { params: "PostTransferParams", result: "Applied", isCommand: true },
  "transfer.refund": { params: "RefundTransferParams", result: "Applied", isCommand: true },
  "transfer.get": { params: "GetTransfer", result: "TransferView", isCommand: false },
  "hold.place": { params: "PlaceHoldParams", result: "Applied", isCommand: true },
  "hold.capture": { params: "CaptureHoldParams", result: "Applied", isCommand: true },
  "hold.extend": { params: "ExtendHoldParams", result: "Applied", isCommand: true },
  "hold.adjust": { params: "AdjustHoldParams", result: "Applied", isCommand: true },
  "hold.void": { params: "VoidHoldParams", result: "Applied", isCommand: true },
  "hold.get": { params: "GetHold", result: "HoldView", isCommand: false },
  "hold.list": { params: "ListHolds", result: "HoldPage", isCommand: false },
  "batch.execute": { params: "ExecuteBatchParams", result: "Applied", isCommand: true },
  "balance.get": { params: "GetBalance", result: "Balances", isCommand: false },
  "statement.get": { params: "GetStatement", result: "Statement", isCommand: false },
  "entry.get": { params: "GetEntry", result: "EntryView", isCommand: false },
  "entry.list": { params: "ListEntries", result: "EntryPage", isCommand: false },
  "client.create": { params: "CreateClientParams", result: "Applied", isCommand: true },
  "client.update": { params: "UpdateClientParams", result: "Applied", isCommand: true },
  "client.list": { params: "ListClients", result: "ClientPage", isCommand: false },
  "client.rotate": { params: "RotateClientParams", result: "Applied", isCommand: true },
  "client.revoke": { params: "RevokeClientParams", result: "Applied", isCommand: true },
  "daemon.status": { params: "NoParams", result: "DaemonStatus", isCommand: false },
  "daemon.log_level": { params: "SetLogLevel", result: "LogLevels", isCommand: false },
  "daemon.drain": { params: "NoParams", result: "Draining", isCommand: false },
  "daemon.report": { params: "NoParams", result: "FaultReport", isCommand: false },
  "daemon.audit": { params: "AuditBooks", result: "AuditReport", isCommand: false },
  "daemon.compact": { params: "Compact", result: "CompactionStatus", isCommand: false },
  "journal.read": { params: "ReadJournal", result: "JournalBlock", isCommand: false },
};

/** Every method of the protocol: `transfer.post` is `client.transfer.post(params)`. */
export class Methods {
  /** @param {Ask} ask */
  constructor(ask) {
    this.session = {
      /**
       * Ask whether the daemon answers.
       *
       * @param {NoParams} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<Pong>}
       */
      ping: (params = {}, options) => ask("session.ping", params, options),
    };
    this.rpc = {
      /**
       * Fetch this contract.
       *
       * @param {NoParams} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<Contract>}
       */
      discover: (params = {}, options) => ask("rpc.discover", params, options),
    };
    this.asset = {
      /**
       * Define an asset and, permanently, the number of decimal places of its main unit.
       *
       * @param {DefineAssetParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      define: (params, options) => ask("asset.define", params, options),
      /**
       * Assets by code; `after` is the `next` of the previous page.
       *
       * @param {ListAssets} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<Assets>}
       */
      list: (params = {}, options) => ask("asset.list", params, options),
    };
    this.wallet = {
      /**
       * Open a wallet. A name that starts with `@` makes a system wallet, which may go below zero.
       *
       * @param {OpenWalletParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      open: (params, options) => ask("wallet.open", params, options),
      /**
       * Replace a wallet's metadata, the limits of some of its assets, or both.
       * Fields that are left out stay as they are; null removes an asset's limits.
       *
       * @param {UpdateWalletParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      update: (params, options) => ask("wallet.update", params, options),
      /**
       * Stop money into a wallet, out of it, or both; until a given time, or until it is unfrozen. Replaces an earlier
       * freeze.
       * Voids and expiries of holds are never stopped. Captures are: a hold reserves money, but does not override a
       * freeze.
       *
       * @param {FreezeWalletParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      freeze: (params, options) => ask("wallet.freeze", params, options),
      /**
       * End a wallet's freeze early.
       *
       * @param {UnfreezeWalletParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      unfreeze: (params, options) => ask("wallet.unfreeze", params, options),
      /**
       * Close a wallet permanently. It must be empty, or name the wallet that receives its balances.
       *
       * @param {CloseWalletParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      close: (params, options) => ask("wallet.close", params, options),
      /**
       * One wallet with all its parts; for a wallet with very many assets, `after` is the `next` of the previous
       * answer.
       *
       * @param {GetWallet} params
       * @param {CallOptions} [options]
       * @returns {Promise<WalletView>}
       */
      get: (params, options) => ask("wallet.get", params, options),
      /**
       * Wallets in the order of their names that match all filters; `after` is the `next` of the previous page.
       * Each key of `metadata` must have exactly the given value.
       *
       * @param {ListWallets} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<WalletPage>}
       */
      list: (params = {}, options) => ask("wallet.list", params, options),
    };
    this.transfer = {
      /**
       * Move money along all the postings, in their order, or along none.
       * Each posting is judged in its turn: its payer must have the money by then, from before or from an earlier
       * posting, and its payee must not exceed its maximum.
       *
       * @param {PostTransferParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      post: (params, options) => ask("transfer.post", params, options),
      /**
       * Move money of a transfer or a capture back, in parts if need be, never more than it moved.
       * The postings run in the reverse direction: the money that `bob` got from `alice` goes from `bob` to `alice`.
       *
       * @param {RefundTransferParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      refund: (params, options) => ask("transfer.refund", params, options),
      /**
       * A transfer by its id.
       *
       * @param {GetTransfer} params
       * @param {CallOptions} [options]
       * @returns {Promise<TransferView>}
       */
      get: (params, options) => ask("transfer.get", params, options),
    };
    this.hold = {
      /**
       * Reserve money in a wallet, so that a capture cannot fail for lack of funds; until it expires, if it ever does.
       *
       * @param {PlaceHoldParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      place: (params, options) => ask("hold.place", params, options),
      /**
       * Pay from a hold, to one or several wallets. `final` releases the rest of it.
       *
       * @param {CaptureHoldParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      capture: (params, options) => ask("hold.capture", params, options),
      /**
       * Change an open hold's expiry; an `expires_at` of null keeps it open until it is captured or voided.
       *
       * @param {ExtendHoldParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      extend: (params, options) => ask("hold.extend", params, options),
      /**
       * Raise or lower the amount that an open hold reserves; captured money stays captured.
       *
       * @param {AdjustHoldParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      adjust: (params, options) => ask("hold.adjust", params, options),
      /**
       * Release everything that an open hold still reserves.
       *
       * @param {VoidHoldParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      void: (params, options) => ask("hold.void", params, options),
      /**
       * A hold of a wallet, by its id.
       *
       * @param {GetHold} params
       * @param {CallOptions} [options]
       * @returns {Promise<HoldView>}
       */
      get: (params, options) => ask("hold.get", params, options),
      /**
       * The open holds of a wallet in order of placing, or all of them; `after` is the last id of the previous page.
       *
       * @param {ListHolds} params
       * @param {CallOptions} [options]
       * @returns {Promise<HoldPage>}
       */
      list: (params, options) => ask("hold.list", params, options),
    };
    this.batch = {
      /**
       * Several commands in one entry: all or none of them or, if it is not `atomic`, each by itself.
       * A later command sees the effects of earlier ones. The batch is one step of each wallet's version, so
       * `if_version` of a command in it refers to the version before the batch. The batch uses up the ids of its
       * commands, whatever the outcome.
       *
       * @param {ExecuteBatchParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      execute: (params, options) => ask("batch.execute", params, options),
    };
    this.balance = {
      /**
       * The balances of `wallet` or of several `wallets`, of one asset or of all: now or, with `as_of`, at an earlier
       * point.
       * A sequence means the books right after that entry, a time those after the last entry up to that time. `after`
       * is the `next` of the previous page; with its `time` as `as_of`, all pages show one moment.
       *
       * @param {GetBalance} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<Balances>}
       */
      get: (params = {}, options) => ask("balance.get", params, options),
    };
    this.statement = {
      /**
       * The movements of one wallet, oldest first or newest first; `cursor` is the `next` of the previous page.
       * The range begins with `since` and ends before `until`, both a sequence or a time. `asset`, `counterparty` and
       * `kind` select among its lines.
       *
       * @param {GetStatement} params
       * @param {CallOptions} [options]
       * @returns {Promise<Statement>}
       */
      get: (params, options) => ask("statement.get", params, options),
    };
    this.entry = {
      /**
       * An entry by its sequence, or by the command id that the requesting client gave it. Exactly one of both.
       *
       * @param {GetEntry} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<EntryView>}
       */
      get: (params = {}, options) => ask("entry.get", params, options),
      /**
       * Entries in the journal's order, those after the sequence `after`.
       *
       * @param {ListEntries} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<EntryPage>}
       */
      list: (params = {}, options) => ask("entry.list", params, options),
    };
    this.client = {
      /**
       * Create a client with these scopes and a first token, of which only the SHA-256 is sent, until the token
       * expires.
       * A name with a slash makes a viewing key of the client named before the slash; only that client can create it.
       *
       * @param {CreateClientParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      create: (params, options) => ask("client.create", params, options),
      /**
       * Change a client's scopes, its budget, or the addresses where its tokens are valid; what is left out stays as it
       * is.
       * A client narrows its own, and those of its viewing keys; an admin sets any. Viewing keys that show more than
       * their owner may still spend are revoked.
       *
       * @param {UpdateClientParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      update: (params, options) => ask("client.update", params, options),
      /**
       * Clients in the order of their names: all of them for an admin, otherwise the client itself and its viewing
       * keys.
       * `after` is the last name of the previous page.
       *
       * @param {ListClients} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<ClientPage>}
       */
      list: (params = {}, options) => ask("client.list", params, options),
      /**
       * Give a client a new token; earlier tokens stay valid until the overlap ends, or end at once.
       *
       * @param {RotateClientParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      rotate: (params, options) => ask("client.rotate", params, options),
      /**
       * Revoke a client permanently, with all its tokens and viewing keys.
       *
       * @param {RevokeClientParams} params
       * @param {CallOptions} [options]
       * @returns {Promise<Applied>}
       */
      revoke: (params, options) => ask("client.revoke", params, options),
    };
    this.daemon = {
      /**
       * Show the daemon at a glance.
       *
       * @param {NoParams} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<DaemonStatus>}
       */
      status: (params = {}, options) => ask("daemon.status", params, options),
      /**
       * Change the log level of one component, or of all, until the configuration is reloaded; without a level, change
       * nothing.
       *
       * @param {SetLogLevel} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<LogLevels>}
       */
      logLevel: (params = {}, options) => ask("daemon.log_level", params, options),
      /**
       * Stop the daemon gracefully.
       *
       * @param {NoParams} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<Draining>}
       */
      drain: (params = {}, options) => ask("daemon.drain", params, options),
      /**
       * Show the daemon from the inside.
       *
       * @param {NoParams} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<FaultReport>}
       */
      report: (params = {}, options) => ask("daemon.report", params, options),
      /**
       * Sum up every balance. `after` is the `next` of the previous answer; each page costs the same work again.
       *
       * @param {AuditBooks} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<AuditReport>}
       */
      audit: (params = {}, options) => ask("daemon.audit", params, options),
      /**
       * Start a compaction, unless one is running: archive all but the newest `keep_entries` of the journal.
       * Without a number, that of the configuration applies. The answer reports the progress; `daemon.status` does
       * later.
       *
       * @param {Compact} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<CompactionStatus>}
       */
      compact: (params = {}, options) => ask("daemon.compact", params, options),
    };
    this.journal = {
      /**
       * Segments after the entry `after`, as they are stored.
       *
       * @param {ReadJournal} [params]
       * @param {CallOptions} [options]
       * @returns {Promise<JournalBlock>}
       */
      read: (params = {}, options) => ask("journal.read", params, options),
    };
  }
}
