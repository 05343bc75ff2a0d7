/*
 * pay.mjs - FilecoinPayV1: accounts, rails, lockups, settlement
 *
 * Section 5 of the reference, to the unit: an account's lockup grows by its
 * rate each epoch and stops where the funds end; a rail is settled from those
 * lockups, in segments of equal rate, each of which its validator may cut; half
 * a percent of what is paid, rounded up, is kept by the network.
 *
 * Every movement of money is noted in the ledger of the chain.
 */
import { Table } from '../lib/journal.mjs';
import { Contract, MAX, ZERO, add, min, mul, need, sub }
	from '../lib/contract.mjs';

const FEE_NUMERATOR = 1n;
const FEE_DENOMINATOR = 200n;
const COMMISSION_MAX_BPS = 10000n;

const BEFORE = 'before function execution';
const AFTER = 'after function execution';

const account = () => ({ funds: 0n, lockupCurrent: 0n, lockupRate: 0n,
	lockupLastSettledAt: 0n });
const approval = () => ({ isApproved: false, rateAllowance: 0n,
	lockupAllowance: 0n, rateUsage: 0n, lockupUsage: 0n, maxLockupPeriod: 0n });
const rail = () => ({ token: ZERO, from: ZERO, to: ZERO, operator: ZERO,
	validator: ZERO, paymentRate: 0n, lockupPeriod: 0n, lockupFixed: 0n,
	settledUpTo: 0n, endEpoch: 0n, commissionRateBps: 0n,
	serviceFeeRecipient: ZERO, queue: [] });

export class FilecoinPay extends Contract {
	constructor(chain, address) {
		super(chain, 'FilecoinPay', address);
		this.accounts = new Table(chain.journal, account);
		this.approvals = new Table(chain.journal, approval);
		this.rails = new Table(chain.journal, rail);
		this.railsOf = new Table(chain.journal, () => []);
		this.state = new Table(chain.journal, () => ({ nextRail: 1n }));
	}

	/* Records to write to. */
	account(token, owner) {
		return this.accounts.ref(`${token}|${owner}`);
	}

	approval(token, client, operator) {
		return this.approvals.ref(`${token}|${client}|${operator}`);
	}

	rail(railId) {
		this.check(this.rails.get(railId).from !== ZERO,
			'RailInactiveOrSettled', railId);
		return this.rails.ref(railId);
	}

	note(call, kind, facts) {
		this.chain.note(call, kind, facts);
	}

	/* -- views -- */

	$COMMISSION_MAX_BPS() { return COMMISSION_MAX_BPS; }
	$NETWORK_FEE_NUMERATOR() { return FEE_NUMERATOR; }
	$NETWORK_FEE_DENOMINATOR() { return FEE_DENOMINATOR; }

	$accounts(call, token, owner) {
		const a = this.accounts.get(`${token}|${owner}`);
		return [a.funds, a.lockupCurrent, a.lockupRate, a.lockupLastSettledAt];
	}

	$operatorApprovals(call, token, client, operator) {
		const a = this.approvals.get(`${token}|${client}|${operator}`);
		return [a.isApproved, a.rateAllowance, a.lockupAllowance, a.rateUsage,
			a.lockupUsage, a.maxLockupPeriod];
	}

	$getRail(call, railId) {
		const { queue: _, ...view } = this.rail(railId);
		return view;
	}

	$getRateChangeQueueSize(call, railId) {
		return BigInt(this.rails.get(railId).queue.length);
	}

	$getRailsForPayerAndToken(call, payer, token, offset, limit) {
		return this.page(`payer|${token}|${payer}`, offset, limit);
	}

	$getRailsForPayeeAndToken(call, payee, token, offset, limit) {
		return this.page(`payee|${token}|${payee}`, offset, limit);
	}

	page(key, offset, limit) {
		const all = this.railsOf.get(key);
		const total = BigInt(all.length);
		if (offset >= total)
			return [[], total, total];
		const end = limit === 0n ? total : min(add(offset, limit), total);
		const results = all.slice(Number(offset), Number(end))
			.map((railId) => [railId, this.rails.get(railId)])
			.filter(([, r]) => r.from !== ZERO)
			.map(([railId, r]) => ({ railId, isTerminated: r.endEpoch > 0n,
				endEpoch: r.endEpoch }));
		return [results, end, total];
	}

	$getAccountInfoIfSettled(call, token, owner) {
		const a = this.accounts.get(`${token}|${owner}`);
		const until = a.lockupRate === 0n ? MAX : a.lockupLastSettledAt +
			sub(a.funds, a.lockupCurrent) / a.lockupRate;
		const at = min(until, call.epoch);
		const lockup = a.lockupCurrent +
			a.lockupRate * sub(at, a.lockupLastSettledAt);
		return [until, a.funds, sub(a.funds, lockup), a.lockupRate];
	}

	/* -- the account's lockup -- */

	settled(a, call) {
		return a.lockupLastSettledAt === call.epoch;
	}

	settleLockup(call, token, owner, a) {
		const elapsed = call.epoch - a.lockupLastSettledAt;
		if (elapsed <= 0n)
			return;
		if (a.lockupRate === 0n) {
			a.lockupLastSettledAt = call.epoch;
		} else if (a.funds >= a.lockupCurrent + a.lockupRate * elapsed) {
			a.lockupCurrent += a.lockupRate * elapsed;
			a.lockupLastSettledAt = call.epoch;
		} else {
			this.check(a.funds >= a.lockupCurrent, 'LockupExceedsFundsInvariant',
				token, owner, a.lockupCurrent, a.funds);
			if (a.funds === a.lockupCurrent)
				return;
			const epochs = (a.funds - a.lockupCurrent) / a.lockupRate;
			a.lockupCurrent += a.lockupRate * epochs;
			a.lockupLastSettledAt += epochs;
		}
		this.emit(call, 'AccountLockupSettled', { token, owner, ...a });
	}

	around(call, token, owner, full, body) {
		const a = this.account(token, owner);
		const settle = (when, condition) => {
			const broken = 'invariant failure: insufficient funds to cover ' +
				`lockup ${when}`;
			need(a.funds >= a.lockupCurrent, broken);
			this.settleLockup(call, token, owner, a);
			need(!full || this.settled(a, call), "payers's full account " +
				`lockup was not met as a ${condition} of the requested operation`);
			need(a.funds >= a.lockupCurrent, broken);
		};

		settle(BEFORE, 'precondition');
		const result = body(a);
		settle(AFTER, 'postcondition');
		return result;
	}

	aroundRail(call, railId, oneTime, body) {
		const r = this.rail(railId);
		this.check(r.lockupFixed >= oneTime, 'OneTimePaymentExceedsLockup',
			railId, r.lockupFixed, oneTime);
		return this.around(call, r.token, r.from, false, (a) => body(r, a));
	}

	/* -- deposits and withdrawals -- */

	nonZero(address, name) {
		this.check(address !== ZERO, 'ZeroAddressNotAllowed', name);
	}

	take(call, token, from, to, amount) {
		this.chain.contracts.get(token)
			.transferFrom(this.from(call), from, this.address, amount);
		this.account(token, to).funds += amount;
		this.emit(call, 'DepositRecorded', { token, from, to, amount });
		this.note(call, 'deposit', { from, to, amount });
	}

	takeByPermit(call, token, to, amount, deadline, v, r, s) {
		const t = this.token(token);
		t.permit(this.from(call), to, this.address, amount, deadline, v, r, s);
		this.take(call, token, to, to, amount);
	}

	token(token) {
		const t = this.chain.contracts.get(token);
		this.check(t?.title === 'ERC20', 'SafeERC20FailedOperation', token);
		return t;
	}

	$deposit(call, token, to, amount) {
		this.nonZero(to, 'to');
		this.check(call.value === 0n, 'NativeTokenNotAccepted', call.value);
		this.token(token);
		this.around(call, token, to, false,
			() => this.take(call, token, call.sender, to, amount));
	}

	$depositWithPermit(call, token, to, amount, deadline, v, r, s) {
		this.nonZero(to, 'to');
		this.around(call, token, to, false,
			() => this.takeByPermit(call, token, to, amount, deadline, v, r, s));
	}

	signerIsSender(call, to) {
		this.check(to === call.sender, 'SignerMustBeMsgSender', call.sender, to);
	}

	$depositWithPermitAndApproveOperator(call, token, to, amount, deadline, v,
		r, s, operator, rate, lockup, period) {
		this.nonZero(operator, 'operator');
		this.nonZero(to, 'to');
		this.signerIsSender(call, to);
		this.around(call, token, to, false, () => {
			this.setApproval(call, token, operator, true, rate, lockup, period);
			this.takeByPermit(call, token, to, amount, deadline, v, r, s);
		});
	}

	$depositWithPermitAndIncreaseOperatorApproval(call, token, to, amount,
		deadline, v, r, s, operator, rate, lockup) {
		this.nonZero(operator, 'operator');
		this.nonZero(to, 'to');
		this.signerIsSender(call, to);
		this.around(call, token, to, false, () => {
			this.$increaseOperatorApproval(call, token, operator, rate, lockup);
			this.takeByPermit(call, token, to, amount, deadline, v, r, s);
		});
	}

	$withdraw(call, token, amount) {
		this.$withdrawTo(call, token, call.sender, amount);
	}

	$withdrawTo(call, token, to, amount) {
		this.nonZero(to, 'to');
		this.around(call, token, call.sender, true, (a) => {
			const available = a.funds - a.lockupCurrent;
			this.check(amount <= available, 'InsufficientUnlockedFunds',
				available, amount);
			this.token(token).transfer(this.from(call), to, amount);
			a.funds -= amount;
			this.emit(call, 'WithdrawRecorded',
				{ token, from: call.sender, to, amount });
			this.note(call, 'withdraw', { from: call.sender, to, amount });
		});
	}

	/* -- what an operator may -- */

	$setOperatorApproval(call, token, operator, approved, rate, lockup, period) {
		this.nonZero(operator, 'operator');
		this.setApproval(call, token, operator, approved, rate, lockup, period);
	}

	setApproval(call, token, operator, approved, rate, lockup, period) {
		const a = this.approval(token, call.sender, operator);
		a.isApproved = approved;
		a.rateAllowance = rate;
		a.lockupAllowance = lockup;
		a.maxLockupPeriod = period;
		this.approved(call, token, operator, a);
	}

	$increaseOperatorApproval(call, token, operator, rate, lockup) {
		this.nonZero(operator, 'operator');
		const a = this.approval(token, call.sender, operator);
		this.check(a.isApproved, 'OperatorNotApproved', call.sender, operator);
		a.rateAllowance = add(a.rateAllowance, rate);
		a.lockupAllowance = add(a.lockupAllowance, lockup);
		this.approved(call, token, operator, a);
	}

	approved(call, token, operator, a) {
		const facts = { client: call.sender, operator, approved: a.isApproved,
			rateAllowance: a.rateAllowance, lockupAllowance: a.lockupAllowance,
			maxLockupPeriod: a.maxLockupPeriod };
		this.emit(call, 'OperatorApprovalUpdated', { token, ...facts });
		this.note(call, 'approval', facts);
	}

	useRate(a, old, now) {
		if (now > old) {
			const usage = add(a.rateUsage, now - old);
			this.check(usage <= a.rateAllowance, 'OperatorRateAllowanceExceeded',
				a.rateAllowance, usage);
			a.rateUsage = usage;
		} else {
			a.rateUsage = a.rateUsage > old - now ? a.rateUsage - (old - now) : 0n;
		}
	}

	useLockup(a, old, now) {
		if (now > old) {
			const usage = add(a.lockupUsage, now - old);
			this.check(usage <= a.lockupAllowance,
				'OperatorLockupAllowanceExceeded', a.lockupAllowance, usage);
			a.lockupUsage = usage;
		} else {
			a.lockupUsage = a.lockupUsage > old - now ?
				a.lockupUsage - (old - now) : 0n;
		}
	}

	/* -- rails -- */

	$createRail(call, token, from, to, validator, bps, recipient) {
		this.nonZero(from, 'from');
		this.nonZero(to, 'to');
		const operator = call.sender;
		this.check(this.approval(token, from, operator).isApproved,
			'OperatorNotApproved', from, operator);
		this.check(bps <= COMMISSION_MAX_BPS, 'CommissionRateTooHigh',
			COMMISSION_MAX_BPS, bps);
		this.check(bps === 0n || recipient !== ZERO, 'MissingServiceFeeRecipient');

		const state = this.state.ref('');
		const railId = state.nextRail;
		state.nextRail += 1n;
		this.rails.set(railId, { ...rail(), token, from, to, operator, validator,
			settledUpTo: call.epoch, commissionRateBps: bps,
			serviceFeeRecipient: recipient });
		for (const key of [`payer|${token}|${from}`, `payee|${token}|${to}`])
			this.railsOf.set(key, [...this.railsOf.get(key), railId]);
		this.emit(call, 'RailCreated', { railId, payer: from, payee: to, token,
			operator, validator, serviceFeeRecipient: recipient,
			commissionRateBps: bps });
		this.note(call, 'rail', { railId, from, to });
		return railId;
	}

	onlyOperator(call, railId) {
		const { operator } = this.rail(railId);
		this.check(operator === call.sender, 'OnlyRailOperatorAllowed', operator,
			call.sender);
	}

	$modifyRailLockup(call, railId, period, fixed) {
		this.onlyOperator(call, railId);
		this.aroundRail(call, railId, 0n, (r, payer) => {
			const old = { period: r.lockupPeriod, fixed: r.lockupFixed };
			if (r.endEpoch > 0n)
				this.lowerTerminated(r, payer, period, fixed);
			else
				this.changeLockup(call, r, payer, period, fixed);
			this.emit(call, 'RailLockupModified', { railId,
				oldLockupPeriod: old.period, newLockupPeriod: period,
				oldLockupFixed: old.fixed, newLockupFixed: fixed });
			this.note(call, 'lockup', { railId, from: r.from,
				oldFixed: old.fixed, fixed, oldPeriod: old.period, period });
		});
	}

	lowerTerminated(r, payer, period, fixed) {
		this.check(period === r.lockupPeriod && fixed <= r.lockupFixed,
			'InvalidTerminatedRailModification', r.lockupPeriod, r.lockupFixed,
			period, fixed);
		const less = r.lockupFixed - fixed;
		this.check(payer.lockupCurrent >= less, 'InsufficientCurrentLockup',
			r.token, r.from, payer.lockupCurrent, less);
		payer.lockupCurrent -= less;
		this.useLockup(this.approval(r.token, r.from, r.operator),
			r.lockupFixed, fixed);
		r.lockupFixed = fixed;
	}

	changeLockup(call, r, payer, period, fixed) {
		if (!this.settled(payer, call)) {
			this.check(period === r.lockupPeriod,
				'LockupPeriodChangeNotAllowedDueToInsufficientFunds', r.token,
				r.from, r.lockupPeriod, period);
			this.check(fixed <= r.lockupFixed,
				'LockupFixedIncreaseNotAllowedDueToInsufficientFunds', r.token,
				r.from, r.lockupFixed, fixed);
		}
		const allowed = this.approval(r.token, r.from, r.operator);
		this.check(period <= r.lockupPeriod || period <= allowed.maxLockupPeriod,
			'LockupPeriodExceedsOperatorMaximum', r.token, r.operator,
			allowed.maxLockupPeriod, period);

		const old = r.lockupFixed + r.paymentRate * r.lockupPeriod;
		const now = add(fixed, mul(r.paymentRate, period));
		this.check(payer.lockupCurrent >= old, 'CurrentLockupLessThanOldLockup',
			r.token, r.from, old, payer.lockupCurrent);
		payer.lockupCurrent = payer.lockupCurrent - old + now;
		this.useLockup(allowed, old, now);
		r.lockupPeriod = period;
		r.lockupFixed = fixed;
	}

	$modifyRailPayment(call, railId, rate, oneTime) {
		this.onlyOperator(call, railId);
		this.aroundRail(call, railId, oneTime, (r, payer) => {
			const old = r.paymentRate;
			const ended = r.endEpoch > 0n;
			if (ended) {
				this.check(call.epoch < r.endEpoch,
					'CannotModifyTerminatedRailBeyondEndEpoch', railId,
					r.endEpoch, call.epoch);
				this.check(rate <= old, 'RateChangeNotAllowedOnTerminatedRail',
					railId);
			} else {
				const settled = this.settled(payer, call);
				this.check(settled || rate === old,
					'LockupNotSettledRateChangeNotAllowed', railId, r.from,
					settled, old, rate);
			}
			this.queueRate(call, r, old, rate);

			const period = ended ? r.endEpoch - call.epoch : r.lockupPeriod;
			r.lockupFixed -= oneTime;
			r.paymentRate = rate;
			const allowed = this.approval(r.token, r.from, r.operator);
			if (!ended) {
				this.check(payer.lockupRate >= old, 'LockupRateLessThanOldRate',
					railId, r.from, old, payer.lockupRate);
				payer.lockupRate = payer.lockupRate - old + rate;
				this.useRate(allowed, old, rate);
			}
			payer.lockupCurrent = sub(add(sub(payer.lockupCurrent, old * period),
				mul(rate, period)), oneTime);
			this.useLockup(allowed, old * period, rate * period);
			if (oneTime > 0n) {
				allowed.lockupUsage = sub(allowed.lockupUsage, oneTime);
				allowed.lockupAllowance = oneTime > allowed.lockupAllowance ? 0n :
					allowed.lockupAllowance - oneTime;
			}
			this.emit(call, 'RailRateModified', { railId, oldRate: old,
				newRate: rate });
			if (rate !== old)
				this.note(call, 'rate', { railId, from: r.from, old, rate });
			this.payOnce(call, railId, r, payer, oneTime);
		});
	}

	queueRate(call, r, old, rate) {
		if (rate === old || r.settledUpTo === call.epoch)
			return;
		if (old === 0n && r.queue.length === 0) {
			r.settledUpTo = call.epoch;
			return;
		}
		if (r.queue.length === 0 || r.queue.at(-1).until !== call.epoch)
			r.queue = [...r.queue, { rate: old, until: call.epoch }];
	}

	fees(token, amount, r) {
		const fee = (amount * FEE_NUMERATOR + FEE_DENOMINATOR - 1n) /
			FEE_DENOMINATOR;
		this.account(token, this.address).funds += fee;
		const commission = (amount - fee) * r.commissionRateBps /
			COMMISSION_MAX_BPS;
		if (commission > 0n)
			this.account(token, r.serviceFeeRecipient).funds += commission;
		return { fee, commission, net: amount - fee - commission };
	}

	payOnce(call, railId, r, payer, amount) {
		if (amount === 0n)
			return;
		this.check(payer.funds >= amount, 'InsufficientFundsForOneTimePayment',
			r.token, r.from, amount, payer.funds);
		payer.funds -= amount;
		const { fee, commission, net } = this.fees(r.token, amount, r);
		this.account(r.token, r.to).funds += net;
		this.emit(call, 'RailOneTimePaymentProcessed', { railId,
			netPayeeAmount: net, operatorCommission: commission,
			networkFee: fee });
		this.note(call, 'payment', { railId, from: r.from, to: r.to, amount, net,
			fee });
	}

	$terminateRail(call, railId) {
		this.check(this.rail(railId).endEpoch === 0n, 'RailAlreadyTerminated',
			railId);
		this.aroundRail(call, railId, 0n, (r, payer) => {
			this.check((call.sender === r.from && this.settled(payer, call)) ||
				call.sender === r.operator, 'NotAuthorizedToTerminateRail',
			railId, r.from, r.operator, call.sender);
			r.endEpoch = payer.lockupLastSettledAt + r.lockupPeriod;
			this.emit(call, 'RailTerminated', { railId, by: call.sender,
				endEpoch: r.endEpoch });
			if (r.validator !== ZERO) {
				this.chain.contracts.get(r.validator).$railTerminated(
					this.from(call), railId, call.sender, r.endEpoch);
			}
			this.check(payer.lockupRate >= r.paymentRate,
				'LockupRateInconsistent', railId, r.from, r.paymentRate,
				payer.lockupRate);
			payer.lockupRate -= r.paymentRate;
			this.useRate(this.approval(r.token, r.from, r.operator),
				r.paymentRate, 0n);
			this.note(call, 'railEnd', { railId, from: r.from, by: call.sender,
				endEpoch: r.endEpoch });
		});
	}

	/* -- settlement -- */

	$settleRail(call, railId, until) {
		return this.aroundRail(call, railId, 0n,
			(r, payer) => this.settle(call, railId, r, payer, until, true));
	}

	$settleTerminatedRailWithoutValidation(call, railId) {
		const { endEpoch, from } = this.rail(railId);
		this.check(endEpoch > 0n, 'RailNotTerminated', railId);
		this.check(call.sender === from, 'OnlyRailClientAllowed', from,
			call.sender);
		return this.aroundRail(call, railId, 0n, (r, payer) => {
			this.check(call.epoch > endEpoch,
				'CannotSettleTerminatedRailBeforeMaxEpoch', railId,
				endEpoch + 1n, call.epoch);
			return this.settle(call, railId, r, payer, endEpoch, false);
		});
	}

	settle(call, railId, r, payer, until, validate) {
		this.check(until <= call.epoch, 'CannotSettleFutureEpochs', railId, until,
			call.epoch);
		if (r.endEpoch > 0n && r.settledUpTo >= r.endEpoch) {
			const { settledUpTo } = r;
			this.finalize(call, railId, r, payer);
			return [0n, 0n, 0n, 0n, settledUpTo,
				'rail fully settled and finalized'];
		}
		const end = min(until,
			r.endEpoch > 0n ? r.endEpoch : payer.lockupLastSettledAt);
		const start = r.settledUpTo;
		if (start >= end)
			return [0n, 0n, 0n, 0n, start, `already settled up to epoch ${end}`];

		const changing = r.queue.length > 0;
		let [total, note] = this.settleSegments(call, railId, r, payer, end,
			validate);
		this.check(changing || r.settledUpTo > start, 'NoProgressInSettlement',
			railId, start + 1n, r.settledUpTo);

		let paid = { net: 0n, commission: 0n, fee: 0n };
		if (total > 0n) {
			paid = this.fees(r.token, total, r);
			this.account(r.token, r.to).funds += paid.net;
			this.note(call, 'settlement', { railId, from: r.from, to: r.to,
				amount: total, net: paid.net, fee: paid.fee, start,
				end: r.settledUpTo });
		}
		const reached = r.settledUpTo;
		if (r.endEpoch > 0n && reached >= r.endEpoch) {
			this.finalize(call, railId, r, payer);
			note += 'terminated rail fully settled and finalized.';
		}
		this.emit(call, 'RailSettled', { railId, totalSettledAmount: total,
			totalNetPayeeAmount: paid.net, operatorCommission: paid.commission,
			networkFee: paid.fee, settledUpTo: reached });
		return [total, paid.net, paid.commission, paid.fee, reached, note];
	}

	settleSegments(call, railId, r, payer, end, validate) {
		const notes = [];
		const alone = r.queue.length === 0;
		let total = 0n;
		let at = r.settledUpTo;

		while (at < end) {
			const change = r.queue[0];
			const until = change ? min(end, change.until) : end;
			const rate = change ? change.rate : r.paymentRate;
			if (rate === 0n) {
				r.settledUpTo = until;
				if (alone)
					notes.push('Zero rate payment rail');
			} else {
				const [amount, text] = this.settleSegment(call, railId, r, payer,
					at, until, rate, validate);
				if (r.settledUpTo <= at)
					break;
				total += amount;
				if (text)
					notes.push(text);
				if (r.settledUpTo < until)
					break;
			}
			at = r.settledUpTo;
			if (change && until >= change.until)
				r.queue = r.queue.slice(1);
		}
		return [total, notes.join('; ')];
	}

	settleSegment(call, railId, r, payer, start, end, rate, validate) {
		let amount = rate * (end - start);
		let reached = end;
		let text = '';
		if (r.validator !== ZERO && validate) {
			const result = this.chain.contracts.get(r.validator)
				.$validatePayment(this.from(call), railId, amount, start, end,
					rate);
			reached = result.settleUpto;
			amount = result.modifiedAmount;
			text = result.note;
			this.check(reached <= end, 'ValidatorSettledBeyondSegmentEnd', railId,
				end, reached);
			this.check(reached >= start, 'ValidatorSettledBeforeSegmentStart',
				railId, start, reached);
			const most = rate * (reached - start);
			this.check(amount <= most, 'ValidatorModifiedAmountExceedsMaximum',
				railId, most, amount);
		}
		this.check(payer.funds >= amount, 'InsufficientFundsForSettlement',
			r.token, r.from, amount, payer.funds);
		const lockup = rate * (reached - start);
		this.check(payer.lockupCurrent >= lockup,
			'InsufficientLockupForSettlement', r.token, r.from,
			payer.lockupCurrent, lockup);
		payer.funds -= amount;
		payer.lockupCurrent -= lockup;
		r.settledUpTo = reached;
		this.check(payer.lockupCurrent <= payer.funds,
			'LockupExceedsFundsInvariant', r.token, r.from, payer.lockupCurrent,
			payer.funds);
		return [amount, text];
	}

	finalize(call, railId, r, payer) {
		this.check(payer.lockupCurrent >= r.lockupFixed,
			'LockupInconsistencyDuringRailFinalization', railId, r.token, r.from,
			r.lockupFixed, payer.lockupCurrent);
		payer.lockupCurrent -= r.lockupFixed;
		this.useLockup(this.approval(r.token, r.from, r.operator),
			r.lockupFixed + r.paymentRate * r.lockupPeriod, 0n);
		this.check(r.queue.length === 0, 'RateChangeQueueNotEmpty',
			r.queue.at(-1)?.until ?? 0n);
		this.note(call, 'railDone', { railId, from: r.from,
			released: r.lockupFixed });
		this.rails.delete(railId);
		this.emit(call, 'RailFinalized', { railId });
	}
}
