/** Defaults of how fast an autoscaler acts. Source: kubernetes pkg/apis/autoscaling/v2/defaults.go. */

import { fill } from '../defaulting.ts';
import type { HorizontalPodAutoscalerBehavior, HPAScalingRules } from '../generated/types.ts';

const UP: HPAScalingRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};
/** Its window is left to the controller's own setting. */
const DOWN: HPAScalingRules = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

/** Fills in both directions once either is set. */
export function scalingDefaults(
  behavior: HorizontalPodAutoscalerBehavior,
): HorizontalPodAutoscalerBehavior {
  if (!behavior.scaleUp && !behavior.scaleDown) return behavior;
  const scaleUp = fill(behavior.scaleUp ?? {}, UP);
  const scaleDown = fill(behavior.scaleDown ?? {}, DOWN);
  const isSame = scaleUp === behavior.scaleUp && scaleDown === behavior.scaleDown;
  return isSame ? behavior : { ...behavior, scaleUp, scaleDown };
}
