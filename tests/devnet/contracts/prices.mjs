/*
 * prices.mjs - the price list of FWSS 1.3 and the rate of a data set
 *
 * Section 5.2 of the reference.  Amounts are in units of 1e-18 USDFC.
 */
const USDFC = 10n ** 18n;
const TIB = 1n << 40n;

export const EPOCHS_PER_MONTH = 86400n;

export const rates = {
	storagePerTibPerMonth: 25n * USDFC / 10n,
	datasetFeePerMonth: 24n * USDFC / 1000n,
	cdnEgressPerTib: 7n * USDFC,
	cacheMissEgressPerTib: 7n * USDFC,
};

export const fees = {
	createDataSetFee: 25n * USDFC / 1000n,
	addPiecesBaseFee: 5n * USDFC / 10000n,
	addPiecesPerPieceFee: 3n * USDFC / 10000n,
	schedulePieceRemovalsFee: 2n * USDFC / 1000n,
	terminateFee: 112n * USDFC / 100000n,
};

export const lockups = {
	lifecycleReserveTarget: USDFC / 10n,
	replenishThreshold: 5n * USDFC / 1000n,
	defaultLockupPeriod: 86400n,
	cdnLockupAmount: 7n * USDFC / 10n,
	cacheMissLockupAmount: 3n * USDFC / 10n,
	cdnLockupPeriod: 14400n,
};

export const DATASET_FEE_PER_EPOCH = rates.datasetFeePerMonth /
	EPOCHS_PER_MONTH;

export const bytesOfLeaves = (leaves) => leaves * 32n * 127n / 128n;

/** What a data set of so many leaves costs an epoch. */
export function rateOf(leaves) {
	if (leaves === 0n)
		return 0n;
	return bytesOfLeaves(leaves) * rates.storagePerTibPerMonth /
		(TIB * EPOCHS_PER_MONTH) + DATASET_FEE_PER_EPOCH;
}
