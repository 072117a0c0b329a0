#define STUB(name) static void kernel_##name(const Context *c, const name##_args *a) { (void)c, (void)a; }
#if !__has_include("linear.h")
STUB(denseForward) STUB(denseInputGradient) STUB(denseWeightGradient) STUB(columnSums)
STUB(convForward) STUB(convInputGradient) STUB(convWeightGradient)
#endif
STUB(maxPoolForward) STUB(maxPoolBackward) STUB(averagePoolForward) STUB(averagePoolBackward)
STUB(momentsLeaves) STUB(momentsNodes) STUB(momentsMerge) STUB(momentsPrepare) STUB(momentsRunning) STUB(runningPrepare)
STUB(normalizeForward) STUB(normalizeSums) STUB(normalizeBackward) STUB(sumNodes) STUB(sumMerge)
STUB(unaryForward) STUB(unaryBackward) STUB(dropout) STUB(softmaxForward) STUB(softmaxBackward) STUB(softmaxCrossEntropy)
STUB(sigmoidCrossEntropy) STUB(meanSquaredError) STUB(classCorrect) STUB(binaryCorrect) STUB(absoluteError)
STUB(shardSums) STUB(squareSums) STUB(clipFactor) STUB(sgd) STUB(momentum) STUB(adam)
